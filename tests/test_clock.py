"""The machine's clock wakes on time; the virtual one jumps, and forgets who gave up."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import wsrecorder.clock
from wsrecorder.clock import Clock, SystemClock, VirtualClock

MS = 1_000_000
HOUR_NS = 3_600_000_000_000


def _new_uvloop() -> asyncio.AbstractEventLoop:
    return pytest.importorskip("uvloop", reason="uvloop is in the extra fast").new_event_loop()  # type: ignore[no-any-return]


@pytest.fixture(params=[asyncio.new_event_loop, _new_uvloop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine on each kind of event loop."""

    def run_and_close(coroutine: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(coroutine)

    return run_and_close


@pytest.fixture(params=["timerfd", "loop timers"])
def system_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> SystemClock:
    """Return the machine's clock, with what Linux has and with what all have."""
    if request.param == "timerfd" and sys.platform != "linux":
        pytest.skip("timerfd is Linux's")
    if request.param == "loop timers":
        monkeypatch.setattr(wsrecorder.clock, "_open_timer", _no_timer)
    return SystemClock()


def _no_timer() -> int:
    raise OSError("no timer today")


# SystemClock


def test_time_is_the_machines() -> None:
    clock: Clock = SystemClock()
    assert 0 < clock.now_ns() <= clock.now_ns()
    assert clock.wall_ns() > 1_700_000_000_000_000_000


def test_it_never_wakes_before_the_deadline(run: Any, system_clock: SystemClock) -> None:
    async def sleep_often() -> list[int]:
        late_ns = []
        for part in range(20):
            until_ns = system_clock.now_ns() + MS + part * 50_000
            await system_clock.sleep_until(until_ns)
            late_ns.append(system_clock.now_ns() - until_ns)
        return late_ns

    assert min(run(sleep_often())) >= 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has timers as fine")
def test_it_wakes_within_a_fraction_of_a_millisecond(run: Any) -> None:
    async def sleep_often() -> list[int]:
        clock, late_ns = SystemClock(), []
        for _ in range(20):
            until_ns = clock.now_ns() + 1_100_000  # epoll would make whole milliseconds of it: 0.9 ms late
            await clock.sleep_until(until_ns)
            late_ns.append(clock.now_ns() - until_ns)
        return late_ns

    assert min(run(sleep_often())) < 500_000


def test_sleepers_wake_in_the_order_of_their_deadlines(run: Any, system_clock: SystemClock) -> None:
    async def sleep_together() -> list[int]:
        woken = []

        async def sleep(after_ms: int) -> None:
            await system_clock.sleep_until(start_ns + after_ms * MS)
            woken.append(after_ms)

        start_ns = system_clock.now_ns() + 100 * MS
        await asyncio.gather(*(sleep(after_ms) for after_ms in (9, 3, 6, 3)), hold_up(start_ns + 10 * MS))
        return woken

    async def hold_up(until_ns: int) -> None:  # so that all are due at once
        while system_clock.now_ns() < until_ns:
            pass

    assert run(sleep_together()) == [3, 3, 6, 9]


def test_a_wake_up_call_ends_the_sleep_early(run: Any, system_clock: SystemClock) -> None:
    async def be_woken() -> None:
        wake = asyncio.Event()
        asyncio.get_running_loop().call_soon(wake.set)
        await system_clock.sleep_until(system_clock.now_ns() + HOUR_NS, wake)
        await system_clock.sleep_until(system_clock.now_ns() + HOUR_NS, wake)  # it is still set
        await system_clock.sleep_until(system_clock.now_ns() + MS, asyncio.Event())

    run(be_woken())


def test_a_deadline_that_is_past_lets_others_run(run: Any, system_clock: SystemClock) -> None:
    async def turn() -> bool:
        has_run = asyncio.Event()
        asyncio.get_running_loop().call_soon(has_run.set)
        await system_clock.sleep_until(0)
        return has_run.is_set()

    assert run(turn())


def test_who_gave_up_is_forgotten(run: Any, system_clock: SystemClock) -> None:
    async def give_up() -> int:
        for _ in range(50):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await system_clock.sleep_until(system_clock.now_ns() + HOUR_NS, asyncio.Event())
        await system_clock.sleep_until(system_clock.now_ns() + MS)  # an earlier deadline than the armed one
        alarm: Any = wsrecorder.clock._alarms[asyncio.get_running_loop()]
        return len(vars(alarm).get("_deadlines", ())) + len(vars(alarm).get("_handles", ()))

    assert run(give_up()) == 0


def test_a_timer_armed_for_nobody_rings_and_that_is_all(run: Any, system_clock: SystemClock) -> None:
    async def leave_early() -> None:
        wake = asyncio.Event()
        asyncio.get_running_loop().call_soon(wake.set)
        await system_clock.sleep_until(system_clock.now_ns() + 2 * MS, wake)
        await system_clock.sleep_until(system_clock.now_ns() + 5 * MS)

    run(leave_early())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files in /proc")
def test_timers_go_with_their_event_loop(run: Any) -> None:
    async def sleep() -> None:
        await SystemClock().sleep_until(SystemClock().now_ns() + 100_000)

    def open_files() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count, not paths

    # Loops that somebody else still holds keep theirs: no more than they were is the law.
    run(sleep())
    files, alarms = open_files(), len(wsrecorder.clock._alarms)
    for _ in range(5):
        run(sleep())
    assert open_files() <= files
    assert len(wsrecorder.clock._alarms) <= alarms


def test_a_timer_that_the_system_refuses_is_an_error_of_the_system() -> None:
    with pytest.raises(OSError, match=r"timerfd_settime|Bad file|no timerfd"):
        wsrecorder.clock._arm_timer(1_000_000, 1)


# VirtualClock


async def test_an_hour_passes_at_once() -> None:
    clock = VirtualClock(start_ns=5)
    await clock.sleep_until(HOUR_NS)
    assert clock.now_ns() == HOUR_NS
    assert clock.sleepers == 0


async def test_each_sleeper_wakes_at_its_own_deadline() -> None:
    clock, woken = VirtualClock(), []

    async def tick(every_ns: int, times: int) -> None:
        for number in range(1, times + 1):
            await clock.sleep_until(number * every_ns)
            woken.append(clock.now_ns())

    await asyncio.gather(tick(7, 5), tick(10, 4))
    assert woken == [7, 10, 14, 20, 21, 28, 30, 35, 40]


async def test_it_does_not_jump_while_somebody_is_at_work() -> None:
    clock, seen = VirtualClock(), []

    async def work() -> None:
        for _ in range(15):
            await asyncio.sleep(0)
        seen.append(clock.now_ns())

    await asyncio.gather(clock.sleep_until(HOUR_NS), work())
    assert seen == [0]


async def test_a_wake_up_call_ends_a_virtual_sleep_and_leaves_nothing() -> None:
    clock, wake = VirtualClock(), asyncio.Event()
    for _ in range(100):
        wake.clear()
        asyncio.get_running_loop().call_soon(wake.set)
        await clock.sleep_until(HOUR_NS, wake)
    assert (clock.now_ns(), clock.sleepers) == (0, 0)
    await clock.sleep_until(HOUR_NS, wake)  # it is still set
    assert clock.now_ns() == 0


async def test_a_cancelled_sleeper_is_forgotten_and_does_not_move_time() -> None:
    clock = VirtualClock()
    sleeper = asyncio.create_task(clock.sleep_until(HOUR_NS))
    await asyncio.sleep(0)
    assert clock.sleepers == 1
    sleeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeper
    assert clock.sleepers == 0
    for _ in range(50):
        await asyncio.sleep(0)
    assert clock.now_ns() == 0


async def test_a_virtual_deadline_that_is_past_lets_others_run() -> None:
    clock, has_run = VirtualClock(start_ns=10), asyncio.Event()
    asyncio.get_running_loop().call_soon(has_run.set)
    await clock.sleep_until(10)
    assert has_run.is_set()
    assert clock.now_ns() == 10


async def test_moved_by_hand_it_wakes_who_is_due_and_only_them() -> None:
    clock = VirtualClock(is_jumping=False)
    early = asyncio.create_task(clock.sleep_until(10))
    late = asyncio.create_task(clock.sleep_until(20))
    for _ in range(50):
        await asyncio.sleep(0)
    assert clock.now_ns() == 0
    clock.advance(10)
    await early
    assert not late.done()
    clock.advance(10)
    await late


async def test_ntp_steps_the_wall_and_not_the_monotonic_time() -> None:
    clock = VirtualClock(start_ns=3, wall_ns=1_000)
    clock.step_wall(-500)
    assert (clock.now_ns(), clock.wall_ns()) == (3, 500)
    await clock.sleep_until(13)
    assert clock.wall_ns() == 510


def test_one_clock_serves_one_event_loop_after_another() -> None:
    clock = VirtualClock()

    async def cut_short() -> None:
        sleeper = asyncio.create_task(clock.sleep_until(HOUR_NS))
        await asyncio.sleep(0)
        assert not sleeper.done()

    asyncio.run(cut_short())
    asyncio.run(clock.sleep_until(7))
    assert clock.now_ns() == 7


async def test_reaching_a_moment_wakes_everyone_on_the_way_at_their_own_time() -> None:
    clock = VirtualClock()
    woken: list[int] = []

    async def sleeper(until_ns: int, again_ns: int | None = None) -> None:
        await clock.sleep_until(until_ns)
        woken.append(clock.now_ns())
        if again_ns is not None:
            await sleeper(again_ns)

    async with asyncio.TaskGroup() as group:
        for until_ns, again_ns in ((30, None), (10, 20), (90, None)):
            group.create_task(sleeper(until_ns, again_ns))
        await asyncio.sleep(0)
        await clock.reach(50, 1_000)
        assert woken == [10, 20, 30]
        assert (clock.now_ns(), clock.wall_ns()) == (50, 1_000)
    assert woken == [10, 20, 30, 90]  # left alone, it jumps on by itself


async def test_a_clock_that_is_held_does_not_jump() -> None:
    clock = VirtualClock()
    sleeper = asyncio.ensure_future(clock.sleep_until(10))
    await asyncio.sleep(0)
    with clock.held():
        for _ in range(200):
            await asyncio.sleep(0)
        assert clock.now_ns() == 0
    await sleeper
    assert clock.now_ns() == 10


def test_moving_it_sets_both_times() -> None:
    clock = VirtualClock()
    clock.move_to(5, 70)
    assert (clock.now_ns(), clock.wall_ns()) == (5, 70)
