"""One playback: a player, what it plays, and the loop that carries out its steps.

All clients share one, or each has its own. It is the only place of a replay that waits for time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from wsrecorder.clock import Clock
from wsrecorder.core.distribution import Distribution
from wsrecorder.core.player import Finished, Idle, More, Player, Reread, Send, Wait
from wsrecorder.core.timeline import Placement, Timeline
from wsrecorder.jobs.delivery import Delivery
from wsrecorder.jobs.faults import Faults
from wsrecorder.jobs.programme import PlayBatch, Programme, ReadAhead
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
    ) -> None:
        self.player = Player(start_ns=start_ns, speed=speed, loop=options.at_end is AtEnd.LOOP)
        self.frames_sent = 0
        self.lateness = Distribution()
        self.is_over = False
        self._options = options
        self._clock = clock
        self._stop_ns = stop_ns
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
        self._reader.begin(from_ns)
        self._delivery.begin_pass(from_ns)

    async def _feed(self) -> None:
        batch = await self._reader.take()
        if batch is None:
            self.player.end(self._clock.now_ns())
            return
        placement = self._timeline.place(batch.elapsed_ns, batch.sent_us)
        if self.player.feed(placement.due_ns, self._clock.now_ns()):
            self._batch, self._placement = batch, placement

    async def _send(self, start: int, stop: int) -> None:
        assert self._batch is not None
        first_row = self._placement.start
        began_ns = self._clock.now_ns()
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
