"""The only place that reads or waits for the time.

`SystemClock` is the machine's. `VirtualClock` is a test's: it jumps to the next due time as
soon as nobody has anything left to do now, so an hour of replay passes in milliseconds.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from contextlib import suppress
from typing import Protocol

__all__ = ["Clock", "SystemClock", "VirtualClock"]


class Clock(Protocol):
    """What a job needs to know of time; all values in ns."""

    def now_ns(self) -> int:
        """Return monotonic time: never steps, has no epoch."""
        ...

    def wall_ns(self) -> int:
        """Return UTC since the epoch: NTP may step it."""
        ...

    async def sleep_until(self, until_ns: int, wake: asyncio.Event | None = None) -> None:
        """Return at monotonic ``until_ns``, or as soon as ``wake`` is set."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """Return monotonic time, ns."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """Return UTC since the epoch, ns."""
        return time.time_ns()

    async def sleep_until(self, until_ns: int, wake: asyncio.Event | None = None) -> None:
        """Return at monotonic ``until_ns``, or as soon as ``wake`` is set.

        ``loop.call_at`` takes the absolute deadline: the time spent on the way here is not added
        to it, as it would be by a relative sleep.
        """
        loop = asyncio.get_running_loop()
        due = loop.create_future()
        # The loop's clock is monotonic too, but may have another zero (uvloop counts whole ms).
        handle = loop.call_at(loop.time() + (until_ns - time.monotonic_ns()) / 1e9, _finish, due)
        waiter = None if wake is None else asyncio.ensure_future(wake.wait())
        try:
            if waiter is None:
                await due
            else:
                await asyncio.wait((due, waiter), return_when=asyncio.FIRST_COMPLETED)
        finally:
            handle.cancel()
            if waiter is not None:
                waiter.cancel()


class VirtualClock:
    """A clock that stands still until everyone waits for it, then jumps to the earliest deadline.

    Args:
        start_ns: Monotonic time at the start, ns.
        wall_ns: UTC at the start, ns since the epoch.
        settle: Passes of the event loop without a new sleeper that count as "everyone waits".
    """

    def __init__(self, start_ns: int = 0, wall_ns: int = 1_700_000_000_000_000_000, *, settle: int = 20) -> None:
        self._now_ns = start_ns
        self._wall_offset_ns = wall_ns - start_ns
        self._settle = settle
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._jump: asyncio.Task[None] | None = None

    def now_ns(self) -> int:
        """Return virtual monotonic time, ns."""
        return self._now_ns

    def wall_ns(self) -> int:
        """Return virtual UTC since the epoch, ns."""
        return self._now_ns + self._wall_offset_ns

    def step_wall(self, step_ns: int) -> None:
        """Step the wall clock as NTP would; monotonic time is unmoved."""
        self._wall_offset_ns += step_ns

    def advance(self, by_ns: int) -> None:
        """Let time pass and wake whoever is due."""
        self._now_ns += by_ns
        self._wake_due()

    async def sleep_until(self, until_ns: int, wake: asyncio.Event | None = None) -> None:
        """Return at virtual ``until_ns``, or as soon as ``wake`` is set."""
        loop = asyncio.get_running_loop()
        due: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._sleepers, (until_ns, next(self._order), due))
        if self._jump is not None:
            self._jump.cancel()
        self._jump = loop.create_task(self._jump_when_idle())
        waiter = None if wake is None else asyncio.ensure_future(wake.wait())
        try:
            if waiter is None:
                await due
            else:
                await asyncio.wait((due, waiter), return_when=asyncio.FIRST_COMPLETED)
        finally:
            due.cancel()
            if waiter is not None:
                waiter.cancel()

    async def _jump_when_idle(self) -> None:
        while self._sleepers:
            for _ in range(self._settle):
                await asyncio.sleep(0)
            while self._sleepers and self._sleepers[0][2].done():
                heapq.heappop(self._sleepers)
            if self._sleepers:
                self._now_ns = max(self._now_ns, self._sleepers[0][0])
                self._wake_due()

    def _wake_due(self) -> None:
        while self._sleepers and self._sleepers[0][0] <= self._now_ns:
            _finish(heapq.heappop(self._sleepers)[2])


def _finish(future: asyncio.Future[None]) -> None:
    with suppress(asyncio.InvalidStateError):
        future.set_result(None)
