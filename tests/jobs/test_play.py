"""Playing into a program: one order, the clock at each event's time, timers in between, pacing and controls."""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.replays import SECOND_NS, STARTED_NS, identity, message, numbered, session, sink_for, until
from wsrecorder.clock import Clock, VirtualClock
from wsrecorder.core.event import Event, Kind
from wsrecorder.core.moment import parse_moment
from wsrecorder.core.stream_hash import stream_hash
from wsrecorder.errors import SegmentDamaged, UsageError
from wsrecorder.jobs.play import Play, PlayOptions
from wsrecorder.store.schema import from_rows
from wsrecorder.store.session import ParquetStore, Store


class StandingClock:
    """A clock that is no `VirtualClock` and goes on only by being waited for; it keeps the deadlines."""

    def __init__(self) -> None:
        self.deadlines_ns: list[int] = []
        self._virtual = VirtualClock()

    def now_ns(self) -> int:
        return self._virtual.now_ns()

    def wall_ns(self) -> int:
        return self._virtual.wall_ns()

    async def sleep_until(self, until_ns: int, wake: asyncio.Event | None = None) -> None:
        self.deadlines_ns.append(until_ns)
        await self._virtual.sleep_until(until_ns, wake)


def another(library: Path, times_s: Sequence[float], *, later_s: float = 0, batch: int = 10_000) -> Store:
    started_ns = STARTED_NS + round(later_s * SECOND_NS)
    rows = [message(at_s, "B", started_ns=started_ns) for at_s in times_s]
    return session(library, rows, who=identity("other", started_ns), batch=batch)


def play(stores: Sequence[Store] | Store, clock: Clock | None = None, **options: Any) -> Play:
    return Play(
        [stores] if not isinstance(stores, Sequence) else stores, PlayOptions(**options), clock or VirtualClock()
    )


async def played(stores: Sequence[Store] | Store, clock: Clock | None = None, **options: Any) -> list[Event]:
    return [event async for event in play(stores, clock, **options)]


def seconds(events: Sequence[Event]) -> list[float]:
    return [event.elapsed_ns / SECOND_NS for event in events]


# One order


async def test_sessions_are_merged_by_time_and_counted_from_the_earliest(tmp_path: Path) -> None:
    stores = [session(tmp_path, [message(n) for n in range(4)], batch=2), another(tmp_path, [0, 1, 1.5], later_s=1)]
    events = await played(stores)
    assert [(event.elapsed_ns / SECOND_NS, event.type) for event in events] == [
        (0, "A"), (1, "A"), (1, "B"), (2, "A"), (2, "B"), (2.5, "B"), (3, "A"),
    ]  # fmt: skip


async def test_every_reader_gets_one_order_however_sessions_are_named_and_cut(tmp_path: Path) -> None:
    times = [0, 1, 1, 1, 2, 2, 3]
    found = set()
    for batch in (1, 2, 3, 100):
        folder = tmp_path / str(batch)
        stores = [session(folder, [message(n) for n in times], batch=batch), another(folder, times, batch=batch + 1)]
        for order in (stores, stores[::-1], [*stores, stores[0]]):
            found.add(stream_hash(await played(order)))
    assert len(found) == 1


async def test_one_session_comes_as_it_is_read(tmp_path: Path) -> None:
    rows = [message(0), message(1, kind=Kind.GAP, type=None, text=None, detail="{}"), message(2)]
    assert await played(session(tmp_path, rows)) == numbered(rows)


async def test_each_pass_begins_anew(tmp_path: Path) -> None:
    playing = play(session(tmp_path, [message(n) for n in range(3)]))
    passes = [[event.seq async for event in playing] for _ in range(2)]
    assert passes == [[0, 1, 2]] * 2


async def test_only_what_is_wanted_comes(tmp_path: Path) -> None:
    rows = [message(n, "ABC"[n % 3]) for n in range(9)]
    store = session(tmp_path, rows)
    assert seconds(await played(store, types=frozenset("AB"), exclude=frozenset("B"))) == [0, 3, 6]
    assert seconds(await played(store, start=parse_moment("2s"), end=parse_moment("5s"))) == [2, 3, 4]
    assert seconds(await played(store, where="seq % 4 = 0", kinds=frozenset({Kind.MESSAGE}))) == [0, 4, 8]
    assert await played(store, kinds=frozenset({Kind.NOTE})) == []


async def test_a_window_counts_from_the_earliest_session(tmp_path: Path) -> None:
    stores = [session(tmp_path, [message(n) for n in range(5)]), another(tmp_path, [0, 1, 2.5], later_s=1.5)]
    assert seconds(await played(stores, start=parse_moment("2s"), end=parse_moment("4s"))) == [2, 2.5, 3]


async def test_a_session_that_is_being_recorded_is_played_as_far_as_it_has_come(tmp_path: Path) -> None:
    sink = sink_for(tmp_path, identity())
    sink.append(from_rows(numbered([message(n) for n in range(3)])))
    assert seconds(await played(ParquetStore(sink.path))) == [0, 1, 2]
    sink.abandon()


@pytest.mark.parametrize("options", [{"speed": 0.0}, {"start": parse_moment("1h")}, {"where": "typ = 1"}])
def test_what_cannot_be_is_refused_at_once(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        play(session(tmp_path, [message(0)]), **options)


def test_no_session_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="no session"):
        play([])


async def test_a_session_that_cannot_be_read_on_says_so(tmp_path: Path) -> None:
    store = session(tmp_path, [message(n) for n in range(8)], segment_s=1, batch=1)
    sorted((store.path / "events").iterdir())[1].unlink()
    with pytest.raises(SegmentDamaged):
        await played(store)


# Virtual time


async def test_the_clock_stands_at_each_events_time(tmp_path: Path) -> None:
    clock = VirtualClock()
    stepped = message(2, received_ns=STARTED_NS + 7)  # NTP stepped the wall clock
    stores = [session(tmp_path, [message(0), message(1), stepped]), another(tmp_path, [0, 1.5], later_s=1)]
    async for event in play(stores, clock):
        assert clock.now_ns() == event.elapsed_ns
        assert clock.wall_ns() == event.received_ns


async def test_a_clock_that_was_used_before_goes_on(tmp_path: Path) -> None:
    clock = VirtualClock(start_ns=100 * SECOND_NS)
    seen = [clock.now_ns() // SECOND_NS async for _ in play(session(tmp_path, [message(n) for n in range(3)]), clock)]
    assert seen == [100, 101, 102]


async def test_a_timer_rings_between_the_events_at_its_own_time(tmp_path: Path) -> None:
    clock = VirtualClock()
    seen: list[object] = []

    async def timer() -> None:
        for at_s in (0.5, 1.5, 1.75, 5):
            await clock.sleep_until(round(at_s * SECOND_NS))
            seen.append(clock.now_ns() / SECOND_NS)

    async with asyncio.TaskGroup() as group:
        group.create_task(timer())
        await asyncio.sleep(0)
        async for event in play(session(tmp_path, [message(n) for n in range(3)]), clock):
            seen.append(event.seq)
        assert seen == [0, 0.5, 1, 1.5, 1.75, 2]
    assert seen[-1] == 5


async def test_a_strategy_that_sleeps_finds_later_events_late(tmp_path: Path) -> None:
    clock = VirtualClock()
    times = []
    async for event in play(session(tmp_path, [message(n) for n in range(5)]), clock):
        if event.seq == 1:
            await clock.sleep_until(clock.now_ns() + 2 * SECOND_NS)
        times.append(clock.now_ns() // SECOND_NS)
    assert times == [0, 3, 3, 3, 4]


async def test_a_pause_holds_virtual_time_too(tmp_path: Path) -> None:
    clock = VirtualClock()
    playing = play(session(tmp_path, [message(n) for n in range(3)]), clock)
    playing.pause()
    first = asyncio.ensure_future(anext(aiter(playing)))
    for _ in range(1000):
        await asyncio.sleep(0)
    assert not first.done()
    playing.resume()
    assert (await first).seq == 0


# Paced


@pytest.mark.parametrize(("speed", "due_s"), [(1.0, [1, 2, 3]), (2.0, [0.5, 1, 1.5]), (0.5, [2, 4, 6])])
async def test_events_come_when_they_are_due(tmp_path: Path, speed: float, due_s: list[float]) -> None:
    clock = StandingClock()
    events = await played(session(tmp_path, [message(n) for n in range(4)]), clock, speed=speed)
    assert seconds(events) == [0, 1, 2, 3]
    assert [deadline_ns / SECOND_NS for deadline_ns in clock.deadlines_ns] == due_s


async def test_at_the_highest_speed_nothing_is_waited_for(tmp_path: Path) -> None:
    clock = StandingClock()
    assert len(await played(session(tmp_path, [message(n) for n in range(4)]), clock, speed=math.inf)) == 4
    assert clock.deadlines_ns == []


async def test_a_window_begins_at_once(tmp_path: Path) -> None:
    clock = StandingClock()
    store = session(tmp_path, [message(n) for n in range(6)])
    assert seconds(await played(store, clock, start=parse_moment("3s"))) == [3, 4, 5]
    assert clock.deadlines_ns == [SECOND_NS, 2 * SECOND_NS]


async def test_speed_and_pause_take_effect_from_where_playback_stands(tmp_path: Path) -> None:
    clock = StandingClock()
    playing = play(session(tmp_path, [message(n) for n in range(8)]), clock)
    times = []
    async for event in playing:
        times.append(clock.now_ns() / SECOND_NS)
        match event.seq:
            case 1:
                playing.set_speed(4)
                assert playing.speed == 4
            case 3:
                playing.pause()
                asyncio.get_running_loop().call_soon(playing.resume)
            case 4:
                playing.set_speed(math.inf)
            case 6:
                playing.set_speed(1)
    assert times == [0, 1, 1.25, 1.5, 1.75, 1.75, 1.75, 2.75]


async def test_a_control_wakes_who_waits(tmp_path: Path) -> None:
    clock = VirtualClock(is_jumping=False)

    class Manual(StandingClock):
        def __init__(self) -> None:
            super().__init__()
            self._virtual = clock

    playing = play(session(tmp_path, [message(0), message(3600)]), Manual())
    events = aiter(playing)
    await anext(events)
    second = asyncio.ensure_future(anext(events))
    await until(lambda: bool(clock.sleepers))
    playing.set_speed(math.inf)
    assert (await second).seq == 1
    assert clock.now_ns() == 0


async def test_who_stops_early_leaves_nothing_behind(tmp_path: Path) -> None:
    async for _ in play(session(tmp_path, [message(n) for n in range(50)], batch=1, segment_s=1)):
        break
    gc.collect()
    await asyncio.get_running_loop().shutdown_asyncgens()
