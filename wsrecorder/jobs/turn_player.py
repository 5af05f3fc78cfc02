"""Plays the turns of a dialogue to one client: each at its recorded pace, counted from when it begins.

Turns that are played at the same time are played side by side. A pause or another speed is for all of them.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from wsrecorder.clock import Clock
from wsrecorder.core.distribution import Distribution, sample_rows
from wsrecorder.core.playhead import MAX_SPEED, Playhead, check_speed
from wsrecorder.core.timeline import Placement, Timeline
from wsrecorder.jobs.delivery import Delivery
from wsrecorder.jobs.faults import Faults
from wsrecorder.jobs.play_batch import PlayBatch
from wsrecorder.net.client import Client
from wsrecorder.net.endpoint import Endpoint

__all__ = ["TurnPlayer"]

_MOST_ROWS: Final = 4_096


class TurnPlayer:
    """Plays to one client.

    Attributes:
        frames_sent: Frames played so far.
        lateness: Of frames that had a deadline.

    Args:
        client: Whom to.
        endpoint: Of the client.
        clock: Where the time comes from.
        start_ns: Where the dialogue begins, session time, ns.
        speed: Session seconds per wall second, or infinity.
        max_gap_ns: Longest silence, session time, ns; None keeps all.
        faults: What goes wrong on the way; None is nothing ever.
    """

    def __init__(
        self, client: Client, endpoint: Endpoint, clock: Clock,
        *, start_ns: int, speed: float, max_gap_ns: int | None = None, faults: Faults | None = None,
    ) -> None:  # fmt: skip
        self.frames_sent = 0
        self.lateness = Distribution()
        self._reached_ns = start_ns
        self._heads: dict[int, _Head] = {}
        self._clock = clock
        self._speed = check_speed(speed)
        self._is_paused = False
        self._max_gap_ns = max_gap_ns
        self._changed = asyncio.Event()
        self._next_ns = 0
        self._delivery = Delivery(
            endpoint, clock, faults,
            to=(client,), next_ns=lambda: self._next_ns, speed=lambda: self._speed, max_gap_ns=max_gap_ns,
        )  # fmt: skip
        self._delivery.begin_pass(start_ns)

    async def play(self, batches: Iterator[PlayBatch], from_ns: int, *, is_ready: bool) -> None:
        """Play frames, the first moment of them being now.

        Args:
            batches: The frames.
            from_ns: Session time that is now, ns.
            is_ready: Whether they can be had at once; else they are read on a thread.

        Raises:
            SessionError: They cannot be read any further.
        """
        timeline = Timeline(from_ns, None, max_gap_ns=self._max_gap_ns)
        head = _Head(Playhead(from_ns, self._clock.now_ns(), self._pace), Placement(0, 0, (), (), is_last=False))
        self._heads[id(head)] = head
        try:
            while True:
                batch = next(batches, None) if is_ready else await asyncio.to_thread(next, batches, None)
                if batch is None:
                    return
                head.placement = timeline.place(batch.elapsed_ns, batch.sent_us)
                await self._play(batch, head)
        finally:
            self._reached_ns = self.position_ns()
            del self._heads[id(head)]

    async def drain(self) -> None:
        """Return when nothing is on its way any more."""
        while not self._delivery.is_empty:
            self._changed.clear()
            await self._delivery.drain(self._changed)

    def position_ns(self) -> int:
        """Return how far the client has come in the recording, session time, ns."""
        now_ns = self._clock.now_ns()
        heads = self._heads.values()
        return max([self._reached_ns, *(head.placement.recorded_ns(head.at.position(now_ns)) for head in heads)])

    @property
    def speed(self) -> float:
        """Session seconds per wall second, or infinity."""
        return self._speed

    def pause(self) -> None:
        """Stand still."""
        self._is_paused = True
        self._changed.set()

    def resume(self) -> None:
        """Play on."""
        self._is_paused = False
        self._changed.set()

    def set_speed(self, speed: float) -> None:
        """Go on at another speed.

        Raises:
            UsageError: It is not above 0.
        """
        self._speed = check_speed(speed)
        self._changed.set()

    def close(self) -> None:
        """Give up what is on its way."""
        self._delivery.close()

    @property
    def _pace(self) -> float:
        return 0.0 if self._is_paused else self._speed

    async def _play(self, batch: PlayBatch, head: _Head) -> None:
        placement = head.placement
        due_ns, row = placement.due_ns, 0
        while row < len(due_ns):
            now_ns = self._clock.now_ns()
            if head.at.speed != self._pace:
                head.at = head.at.at_speed(self._pace, now_ns)
            changed = self._changed = self._changed if not self._changed.is_set() else asyncio.Event()
            self._next_ns = placement.elapsed_ns[row]
            if head.at.speed == MAX_SPEED:
                stop = min(len(due_ns), row + _MOST_ROWS)
                head.at = Playhead(due_ns[stop - 1], now_ns, MAX_SPEED)
            elif head.at.speed:
                stop = bisect_right(due_ns, head.at.position(now_ns), row, min(len(due_ns), row + _MOST_ROWS))
            else:
                await changed.wait()
                continue
            if stop == row:
                await self._delivery.wait(head.at.wall_at(due_ns[row]), changed)
                continue
            waited_ns = await self._delivery.send(batch, placement.start + row, placement.start + stop)
            self._note(row, stop, head, waited_ns)
            row = stop

    def _note(self, row: int, stop: int, head: _Head, waited_ns: int) -> None:
        now_ns = self._clock.now_ns()
        self.frames_sent += stop - row
        if not head.at.is_timed:
            return
        for sampled, rows in sample_rows(row, stop):
            late_ns = now_ns - waited_ns - head.at.wall_at(head.placement.due_ns[sampled])
            self.lateness.record(max(0, late_ns), rows)
        if waited_ns:
            head.at = head.at.hold(now_ns - waited_ns, now_ns)


class _Head:
    """A playhead that is moved, and the rows that are played by it."""

    def __init__(self, at: Playhead, placement: Placement) -> None:
        self.at = at
        self.placement = placement
