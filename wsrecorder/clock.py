"""The only place that reads or waits for the time.

`SystemClock` is the machine's. `VirtualClock` is a test's: it jumps to the next due time as
soon as nobody has anything left to do now, so an hour of replay passes in milliseconds.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from operator import itemgetter
from typing import Protocol
from weakref import WeakKeyDictionary, finalize

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
        """Return at monotonic ``until_ns``, or as soon as ``wake`` is set; if that is past, let others run once."""
        ...


class SystemClock:
    """The machine's clock.

    It wakes within about 0.1 ms of the deadline and never before it, where asyncio's own timers
    are up to 1 ms late (epoll counts whole ms) and uvloop's up to 1 ms early as well (so does its
    clock). On Linux a timerfd does that; elsewhere the loop's timers have to do.
    """

    # Not wrapped in methods of our own: the recorder asks for the time once a frame.
    now_ns = staticmethod(time.monotonic_ns)
    wall_ns = staticmethod(time.time_ns)

    async def sleep_until(self, until_ns: int, wake: asyncio.Event | None = None) -> None:
        """Return at monotonic ``until_ns``, or as soon as ``wake`` is set.

        The deadline is absolute: the time spent on the way here is not added to it, as it would be
        by a relative sleep.
        """
        if until_ns <= time.monotonic_ns() or (wake is not None and wake.is_set()):
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        alarm = _alarm_of(loop)
        due: asyncio.Future[None] = loop.create_future()
        alarm.set(until_ns, due)
        try:
            await _either(due, wake)
        finally:
            alarm.forget(due)


class VirtualClock:
    """A clock that stands still until everyone waits for it, then jumps to the earliest deadline.

    "Everyone waits" is a guess: so many passes of the event loop without a new sleeper. Work that
    the loop does not see (threads, sockets) is not waited for; where that matters, take
    ``is_jumping=False`` and move time by hand with `advance`.

    Args:
        start_ns: Monotonic time at the start, ns.
        wall_ns: UTC at the start, ns since the epoch.
        settle: Passes of the event loop without a new sleeper that count as "everyone waits".
        is_jumping: Whether it jumps by itself.
    """

    def __init__(
        self,
        start_ns: int = 0,
        wall_ns: int = 1_700_000_000_000_000_000,
        *,
        settle: int = 20,
        is_jumping: bool = True,
    ) -> None:
        self._now_ns = start_ns
        self._wall_offset_ns = wall_ns - start_ns
        self._settle = settle
        self._is_jumping = is_jumping
        self._sleepers: dict[asyncio.Future[None], int] = {}
        self._newest = 0  # counts sleepers and moves, so that a jump notices a new one
        self._holds = 0
        self._jump: asyncio.Task[None] | None = None

    @property
    def sleepers(self) -> int:
        """How many wait for this clock now."""
        return len(self._sleepers)

    def now_ns(self) -> int:
        """Return virtual monotonic time, ns."""
        return self._now_ns

    def wall_ns(self) -> int:
        """Return virtual UTC since the epoch, ns."""
        return self._now_ns + self._wall_offset_ns

    def step_wall(self, step_ns: int) -> None:
        """Step the wall clock as NTP would; monotonic time is unmoved."""
        self._wall_offset_ns += step_ns

    def move_to(self, now_ns: int, wall_ns: int) -> None:
        """Let it be that moment, monotonic and UTC; nobody is woken, see `reach`."""
        self._now_ns, self._wall_offset_ns = now_ns, wall_ns - now_ns
        self._newest += 1

    async def reach(self, now_ns: int, wall_ns: int) -> None:
        """Let time pass up to a moment, monotonic and UTC; who sleeps until then is woken at its own time."""
        with self.held():
            while self._sleepers and (due_ns := min(self._sleepers.values())) <= now_ns:
                self.advance(max(0, due_ns - self._now_ns))
                await self._all_wait()
            self.move_to(now_ns, wall_ns)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep it from jumping by itself: whoever moves it waits for something that the loop does not see."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            self._begin_to_jump()

    def advance(self, by_ns: int) -> None:
        """Let time pass and wake whoever is due."""
        self._now_ns += by_ns
        for due in _by_deadline(self._sleepers, self._now_ns):
            _finish(due)

    async def sleep_until(self, until_ns: int, wake: asyncio.Event | None = None) -> None:
        """Return at virtual ``until_ns``, or as soon as ``wake`` is set."""
        if until_ns <= self._now_ns or (wake is not None and wake.is_set()):
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        due: asyncio.Future[None] = loop.create_future()
        self._sleepers[due] = until_ns
        self._newest += 1
        self._begin_to_jump()
        try:
            await _either(due, wake)
        finally:
            del self._sleepers[due]

    def _begin_to_jump(self) -> None:
        if self._sleepers and self._is_jumping and not self._holds and (self._jump is None or self._jump.done()):
            self._jump = asyncio.get_running_loop().create_task(self._jump_when_idle())

    async def _jump_when_idle(self) -> None:
        """Jump from deadline to deadline while anybody sleeps."""
        while self._sleepers and not self._holds:
            await self._all_wait()
            if self._sleepers and not self._holds:
                self.advance(max(0, min(self._sleepers.values()) - self._now_ns))

    async def _all_wait(self) -> None:
        """Return when, as far as one can tell, everyone waits."""
        newest, passes = self._newest, 0
        while passes < self._settle:
            await asyncio.sleep(0)
            passes = passes + 1 if newest == self._newest else 0
            newest = self._newest


async def _either(due: asyncio.Future[None], wake: asyncio.Event | None) -> None:
    """Return when ``due`` is done or ``wake`` is set; ``due`` is then done either way."""
    if wake is None:
        await due
        return
    waiter = asyncio.ensure_future(wake.wait())
    # One future to await, whichever comes first: half the cost of asyncio.wait.
    waiter.add_done_callback(lambda _: _finish(due))
    try:
        await due
    finally:
        waiter.cancel()


def _by_deadline(deadlines: dict[asyncio.Future[None], int], now_ns: int) -> list[asyncio.Future[None]]:
    """Return what is due, in the order of the deadlines: who is late is still not to overtake."""
    due = [(until_ns, future) for future, until_ns in deadlines.items() if until_ns <= now_ns]
    return [future for _, future in sorted(due, key=itemgetter(0))]


def _finish(future: asyncio.Future[None]) -> None:
    with suppress(asyncio.InvalidStateError):
        future.set_result(None)


class _Alarm(Protocol):
    """Finishes futures at deadlines, for one event loop."""

    def set(self, until_ns: int, due: asyncio.Future[None]) -> None:
        """Finish ``due`` at monotonic ``until_ns``."""
        ...

    def forget(self, due: asyncio.Future[None]) -> None:
        """Drop a future, whether finished or not."""
        ...


class _LoopAlarm:
    """The event loop's own timers: good to about 1 ms."""

    def __init__(self) -> None:
        # Not the loop itself: `_alarms` would keep it alive.
        self._handles: dict[asyncio.Future[None], asyncio.TimerHandle] = {}

    def set(self, until_ns: int, due: asyncio.Future[None]) -> None:
        delay_s = (until_ns - time.monotonic_ns()) / 1e9
        loop = asyncio.get_running_loop()
        self._handles[due] = loop.call_later(max(0.0, delay_s), self._ring, until_ns, due)

    def forget(self, due: asyncio.Future[None]) -> None:
        handle = self._handles.pop(due, None)
        if handle is not None:
            handle.cancel()

    def _ring(self, until_ns: int, due: asyncio.Future[None]) -> None:
        if time.monotonic_ns() < until_ns:  # uvloop rounds to whole ms, down as well as up
            self.set(until_ns, due)
        else:
            _finish(due)


class _TimerAlarm:
    """A timerfd (Linux) that the event loop watches: good to some 10 µs, never early.

    One timer is armed for the earliest deadline. A deadline that is forgotten leaves it armed: it
    rings once for nothing, which is cheaper than to arm it anew each time.

    Raises:
        OSError: The system gives no timer.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = _open_timer()
        self._deadlines: dict[asyncio.Future[None], int] = {}
        self._armed_ns: int | None = None
        finalize(self, os.close, self._timer)
        loop.add_reader(self._timer, self._ring)

    def set(self, until_ns: int, due: asyncio.Future[None]) -> None:
        self._deadlines[due] = until_ns
        if self._armed_ns is None or until_ns < self._armed_ns:
            self._arm(until_ns)

    def forget(self, due: asyncio.Future[None]) -> None:
        self._deadlines.pop(due, None)

    def _arm(self, until_ns: int) -> None:
        self._armed_ns = until_ns
        _arm_timer(self._timer, until_ns)

    def _ring(self) -> None:
        with suppress(BlockingIOError):  # armed anew after it was seen to ring
            os.read(self._timer, 8)
        self._armed_ns = None
        now_ns = time.monotonic_ns()
        for due in _by_deadline(self._deadlines, now_ns):
            del self._deadlines[due]
            _finish(due)
        if self._deadlines:
            self._arm(min(self._deadlines.values()))


# One for each event loop, and gone with it.
_alarms: WeakKeyDictionary[asyncio.AbstractEventLoop, _Alarm] = WeakKeyDictionary()


def _alarm_of(loop: asyncio.AbstractEventLoop) -> _Alarm:
    alarm = _alarms.get(loop)
    if alarm is None:
        try:
            alarm = _TimerAlarm(loop)
        except OSError:
            alarm = _LoopAlarm()
        _alarms[loop] = alarm
    return alarm


if sys.platform == "linux" and sys.version_info >= (3, 13):

    def _open_timer() -> int:
        return os.timerfd_create(time.CLOCK_MONOTONIC, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)

    def _arm_timer(timer: int, until_ns: int) -> None:
        os.timerfd_settime_ns(timer, flags=os.TFD_TIMER_ABSTIME, initial=until_ns)

elif sys.platform == "linux" and sys.maxsize > 2**32:  # with 32 bits, the layout depends on the C library
    import ctypes

    _libc = ctypes.CDLL(None, use_errno=True)
    _TFD_TIMER_ABSTIME = 1

    class _Itimerspec(ctypes.Structure):
        """See timerfd_settime(2)."""

        _fields_ = (
            ("interval_s", ctypes.c_int64),
            ("interval_ns", ctypes.c_int64),
            ("value_s", ctypes.c_int64),
            ("value_ns", ctypes.c_int64),
        )

    def _open_timer() -> int:
        # TFD_NONBLOCK and TFD_CLOEXEC are O_NONBLOCK and O_CLOEXEC by definition.
        timer: int = _libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if timer < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        return timer

    def _arm_timer(timer: int, until_ns: int) -> None:
        spec = _Itimerspec(0, 0, *divmod(until_ns, 1_000_000_000))
        if _libc.timerfd_settime(timer, _TFD_TIMER_ABSTIME, ctypes.byref(spec), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

else:

    def _open_timer() -> int:
        raise OSError("no timerfd on this system")

    def _arm_timer(timer: int, until_ns: int) -> None:
        raise OSError("no timerfd on this system")
