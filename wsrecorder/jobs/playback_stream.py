"""The frames of one playback on their way: read, placed in time, primed, delivered, measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wsrecorder.clock import Clock
from wsrecorder.core.distribution import Distribution
from wsrecorder.core.pace import Pace
from wsrecorder.core.player import Player
from wsrecorder.core.target import Place
from wsrecorder.core.timeline import Placement, Timeline
from wsrecorder.jobs.delivery import Delivery
from wsrecorder.jobs.faults import Faults
from wsrecorder.jobs.play_batch import PlayBatch
from wsrecorder.jobs.priming import Primer
from wsrecorder.jobs.programme import Programme
from wsrecorder.jobs.read_ahead import ReadAhead
from wsrecorder.jobs.replay_options import ReplayOptions
from wsrecorder.jobs.usher import Usher
from wsrecorder.net.client import Client
from wsrecorder.net.endpoint import Endpoint

__all__ = ["PlaybackStream"]

_NOTHING: Final = Placement(0, 0, (), (), is_last=False)


class PlaybackStream:
    """Does what a player says with frames.

    Attributes:
        delivery: What stands before the endpoint.
        usher: What tells clients how things stand.
        frames_sent: Frames played so far.
        lateness: Of frames that had a deadline.
        pace: How fast it really is.
        place: Behind the last row sent, or where the pass begins.
        seq: Sequence number of the last event sent in this pass; None before the first.

    Args:
        player: Decides what is due.
        programme: What is played.
        endpoint: Where to.
        options: How.
        clock: Where the time comes from.
        to: The clients it plays to; None plays to all.
        start_ns: Where to begin, session time, ns.
        stop_ns: Where to end, not included; None is as far as the sessions go.
        types: Only messages of these types; None is all.
        faults: What goes wrong on its way to the clients; None is nothing ever.
        primer: Finds what clients are to be told first; None tells them nothing.
    """

    def __init__(
        self,
        player: Player,
        programme: Programme,
        endpoint: Endpoint,
        options: ReplayOptions,
        clock: Clock,
        *,
        to: Sequence[Client] | None,
        start_ns: int,
        stop_ns: int | None,
        types: frozenset[str] | None,
        faults: Faults | None,
        primer: Primer | None,
    ) -> None:
        self.frames_sent = 0
        self.lateness = Distribution()
        self.pace = Pace()
        self.place = Place(start_ns)
        self.seq: int | None = None
        self._player = player
        self._programme = programme
        self._options = options
        self._clock = clock
        self._stop_ns = stop_ns
        self._reader = ReadAhead(programme, types, stop_ns)
        self._timeline = Timeline()
        self._batch: PlayBatch | None = None
        self._placement = _NOTHING
        self.usher = Usher(primer, endpoint, clock, to, types)
        self.delivery = Delivery(
            endpoint, clock, faults,
            to=to, next_ns=self._next_ns, speed=lambda: player.speed, max_gap_ns=options.max_gap_ns,
        )  # fmt: skip

    def position_ns(self) -> int:
        """Return where the playhead stands in the recording, session time, ns."""
        return self._player.stands_ns(self._clock.now_ns())

    def _next_ns(self) -> int:
        return self._placement.next_ns(self._player.position(self._clock.now_ns()))

    def jump(self, place: Place) -> None:
        """Take note that a pass is going to begin elsewhere."""
        self.place, self.seq = place, None

    def begin_pass(self, place: Place) -> None:
        """Read from a place on."""
        options, from_ns = self._options, place.session_ns
        self._timeline = Timeline(from_ns, self._stop_ns, axis=options.axis, max_gap_ns=options.max_gap_ns)
        self._placement = _NOTHING
        self.jump(place)
        self.pace.interrupt()
        self.usher.begin_pass(from_ns)
        self._reader.begin(from_ns, place.skip)
        self.delivery.begin_pass(from_ns)

    async def feed(self) -> None:
        """Feed the player with what comes next, or tell it that nothing does.

        Raises:
            SessionError: A session cannot be read any further.
        """
        player, now_ns = self._player, self._clock.now_ns
        batch = await self._reader.take()
        if batch is None and self._programme.follows:
            batch = await self._live()
        placement = _NOTHING if batch is None else self._timeline.place(batch.elapsed_ns, batch.sent_us)
        if self.usher.is_expecting:
            await self.usher.prime(batch, placement, lambda: player.is_rereading)
        if batch is None:
            player.end(now_ns())
        elif player.feed(placement.due_ns, now_ns(), placement.elapsed_ns):
            self._batch, self._placement = batch, placement

    async def _live(self) -> PlayBatch | None:
        """Return what comes next of a stream that has been caught up with; the playhead stands still meanwhile."""
        player, since_ns = self._player, self._clock.now_ns()
        self.pace.interrupt()
        batch: PlayBatch | None = None
        while batch is None and self._programme.follows and not (player.is_rereading or player.is_stopped):
            batch = await self._reader.take()
        player.hold(since_ns, self._clock.now_ns())
        return batch

    async def send(self, start: int, stop: int) -> None:
        """Send rows of the batch fed last."""
        assert self._batch is not None
        player, batch, placement = self._player, self._batch, self._placement
        was_owed = player.was_owed
        first, after = placement.start + start, placement.start + stop
        began_ns = self._clock.now_ns()
        # Before it is sent: who joins or seeks meanwhile starts from what comes after.
        self.place = self.place.behind(placement.elapsed_ns[start:stop], stop - start - 1)
        self.seq = batch.seqs[after - 1]
        self.usher.note_sent(batch, after - 1)
        waited_ns = await self.delivery.send(batch, first, after)
        now_ns = self._clock.now_ns()
        for late_ns, rows in player.lateness(now_ns - waited_ns):
            self.lateness.record(late_ns, rows)
        if waited_ns:
            player.hold(now_ns - waited_ns, now_ns)
        self.frames_sent += stop - start
        if was_owed:
            self.pace.interrupt()
        else:
            self.pace.note(began_ns, now_ns, placement.due_ns[start], placement.due_ns[stop - 1])

    def close(self) -> None:
        """Give up what is on its way, and end the reading."""
        self.delivery.close()
        self._reader.close()
