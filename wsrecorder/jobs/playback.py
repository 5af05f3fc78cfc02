"""One playback: a player, what it plays, and the loop that carries out its steps.

All clients share one, or each has its own. It is the only place of a replay that waits for time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from wsrecorder.clock import Clock
from wsrecorder.core.distribution import Distribution
from wsrecorder.core.player import Finished, Idle, More, Player, Reread, Send, Wait
from wsrecorder.core.timeline import Placement, Timeline
from wsrecorder.jobs.delivery import Delivery
from wsrecorder.jobs.faults import Faults
from wsrecorder.jobs.play_batch import PlayBatch
from wsrecorder.jobs.priming import Place, Primer, place_after, place_before
from wsrecorder.jobs.programme import Programme, ReadAhead
from wsrecorder.jobs.replay_options import AtEnd, ReplayOptions
from wsrecorder.net.client import Client
from wsrecorder.net.endpoint import Endpoint

__all__ = ["Playback"]

_NOTHING: Final = Placement(0, 0, (), (), is_last=False)


class Playback:
    """Plays a programme to clients of an endpoint.

    Attributes:
        player: Decides what is due; new, it is paused.
        frames_sent: Frames played so far.
        primed: Frames by which clients were told how things stand; they are not among those played.
        lateness: Of frames that had a deadline.
        is_over: Whether it was played to the end; a seek leads back.

    Args:
        programme: What is played.
        endpoint: Where to.
        options: How.
        clock: Where the time comes from.
        to: The clients it plays to; None plays to all.
        start_ns: Where to begin, session time, ns.
        stop_ns: Where to end, not included; None is as far as the sessions go.
        types: Only messages of these types; None is all.
        speed: Session seconds per wall second, or infinity.
        faults: What goes wrong on its way to the clients; None is nothing ever.
        primer: Finds what clients are to be told first; None tells them nothing.
    """

    def __init__(
        self,
        programme: Programme,
        endpoint: Endpoint,
        options: ReplayOptions,
        clock: Clock,
        *,
        to: Sequence[Client] | None = None,
        start_ns: int,
        stop_ns: int | None,
        types: frozenset[str] | None,
        speed: float,
        faults: Faults | None = None,
        primer: Primer | None = None,
    ) -> None:
        self.player = Player(start_ns=start_ns, speed=speed, loop=options.at_end is AtEnd.LOOP)
        self.frames_sent = 0
        self.primed = 0
        self.lateness = Distribution()
        self.is_over = False
        self._endpoint = endpoint
        self._options = options
        self._clock = clock
        self._to = to
        self._stop_ns = stop_ns
        self._types = types
        self._primer = primer
        self._from_ns = start_ns
        self._place: Place | None = None  # where the next row stands; while a pass has not been primed, nowhere
        self._changed = asyncio.Event()
        self._reader = ReadAhead(programme, types, stop_ns)
        self._timeline = Timeline()
        self._batch: PlayBatch | None = None
        self._placement = _NOTHING
        self._playing_ns = 0
        self._session_ns = 0
        self._last: tuple[int, int] | None = None
        self._delivery = Delivery(
            endpoint, clock, faults,
            to=to, next_ns=self._next_ns, speed=lambda: self.player.speed, max_gap_ns=options.max_gap_ns,
        )  # fmt: skip

    async def run(self) -> None:
        """Play until the end, once; a seek or restart after that wants another call.

        Raises:
            SessionError: A session cannot be read any further.
        """
        clock, player = self._clock, self.player
        while True:
            match player.next_step(clock.now_ns()):
                case Finished() if player.is_stopped or self._delivery.is_empty:
                    break
                case Finished():
                    self._changed.clear()
                    await self._delivery.drain(self._changed)
                case Send(start, stop):
                    await self._send(start, stop)
                case Wait(until_ns):
                    self._changed.clear()
                    await self._delivery.wait(until_ns, self._changed)
                case Idle():
                    self._changed.clear()
                    await self._changed.wait()
                case More():
                    await self._feed()
                case Reread(from_ns):
                    self._begin_pass(from_ns)
        self.is_over = not self.player.is_stopped
        self._changed.clear()

    async def wait_for_control(self) -> None:
        """Return after the first control since `run` has returned."""
        await self._changed.wait()

    # Controls: each takes effect at once, whatever the loop waits for.

    def resume(self) -> None:
        """Play on."""
        self.player.resume(self._clock.now_ns())
        self._note_control()

    def pause(self) -> None:
        """Stand still."""
        self.player.pause(self._clock.now_ns())
        self._note_control()

    def seek(self, session_ns: int) -> None:
        """Play on from another place, session time, ns, at the earliest from the start; `run` again after the end."""
        self.player.seek(session_ns, self._clock.now_ns())
        self.is_over = False
        self._note_control()

    def step(self, frames: int = 1) -> None:
        """Stand still, and send the next frames at once.

        Raises:
            UsageError: There are less than one.
        """
        self.player.step(frames, self._clock.now_ns())
        self._note_control()

    def set_speed(self, speed: float) -> None:
        """Go on at another speed, session seconds per wall second, or infinity.

        Raises:
            UsageError: It is not above 0.
        """
        self.player.set_speed(speed, self._clock.now_ns())
        self._note_control()

    def close(self) -> None:
        """End the playback and its reading."""
        self.player.stop()
        self._note_control()
        self._delivery.close()
        self._reader.close()

    def _note_control(self) -> None:
        self._last = None  # what is measured are stretches without a control in them
        self._changed.set()

    def position_ns(self) -> int:
        """Return where the playhead stands in the recording, session time, ns."""
        return self._placement.recorded_ns(self.player.position(self._clock.now_ns()))

    def _next_ns(self) -> int:
        return self._placement.next_ns(self.player.position(self._clock.now_ns()))

    def measured(self) -> tuple[float, float]:
        """Return wall time spent playing and session time played, pauses left out, seconds."""
        return self._playing_ns / 1e9, self._session_ns / 1e9

    def _begin_pass(self, from_ns: int) -> None:
        options = self._options
        self._timeline = Timeline(from_ns, self._stop_ns, axis=options.axis, max_gap_ns=options.max_gap_ns)
        self._placement = _NOTHING
        self._last = None
        self._from_ns, self._place = from_ns, None
        self._reader.begin(from_ns)
        self._delivery.begin_pass(from_ns)

    async def _feed(self) -> None:
        batch = await self._reader.take()
        placement = _NOTHING if batch is None else self._timeline.place(batch.elapsed_ns, batch.sent_us)
        if self._place is None:
            await self._begin_primed(batch, placement)
        if batch is None:
            self.player.end(self._clock.now_ns())
            return
        if self.player.feed(placement.due_ns, self._clock.now_ns()):
            self._batch, self._placement = batch, placement

    async def _begin_primed(self, batch: PlayBatch | None, placement: Placement) -> None:
        """Tell all clients how things stand where a pass begins, before its first row."""
        is_empty = batch is None or placement.start == placement.stop
        place = Place(self._from_ns) if batch is None or is_empty else place_before(batch, placement.start)
        if self._primer is not None:
            found = await self._primer.find(place, self._types)
            if self.player.is_rereading:  # a control has meanwhile led elsewhere, and that is primed in turn
                return
            for primed in found:
                frames, first, after = primed.frames(0, len(primed.elapsed_ns), self._clock.wall_ns())
                self._endpoint.prime(frames, first, after, self._to)
                self.primed += after - first
        self._place = place

    def welcome(self, client: Client) -> Coroutine[Any, Any, None] | None:
        """Keep the stream back from a client that has just come, until it knows how things stand.

        Returns:
            What tells it and then lets the stream through, to be run; None where nothing has to be told, or
            a pass is about to begin, which tells all clients.
        """
        if self._primer is None or self._place is None:
            return None
        client.hold()
        return self._prime_one(self._primer, client, self._place)

    async def _prime_one(self, primer: Primer, client: Client, place: Place) -> None:
        wires: list[tuple[bytes | memoryview, int]] = []
        try:
            for primed in await primer.find(place, self._types):
                frames, first, after = primed.frames(0, len(primed.elapsed_ns), self._clock.wall_ns())
                wires.append((frames.wire(first, after, client.window_bits), after - first))
                self.primed += after - first
        finally:
            client.release(wires)

    async def _send(self, start: int, stop: int) -> None:
        assert self._batch is not None
        first_row = self._placement.start
        began_ns = self._clock.now_ns()
        # Before it is sent: who joins meanwhile gets what comes after.
        self._place = place_after(self._batch, first_row + stop - 1)
        waited_ns = await self._delivery.send(self._batch, first_row + start, first_row + stop)
        now_ns = self._clock.now_ns()
        for late_ns, rows in self.player.lateness(now_ns - waited_ns):
            self.lateness.record(late_ns, rows)
        if waited_ns:
            self.player.hold(now_ns - waited_ns, now_ns)
        self.frames_sent += stop - start
        due_ns = self._placement.due_ns
        self._measure(began_ns, now_ns, due_ns[start], due_ns[stop - 1])

    def _measure(self, began_ns: int, now_ns: int, first_due_ns: int, last_due_ns: int) -> None:
        """Add what was played since the frames before these; after a control the count begins anew."""
        since_ns, due_ns = self._last or (began_ns, first_due_ns)
        self._playing_ns += now_ns - since_ns
        self._session_ns += last_due_ns - due_ns
        self._last = now_ns, last_due_ns
