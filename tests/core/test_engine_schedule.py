"""When the simulated engine pushes what; an hour of it in integers."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.engine import Engine
from wsrecorder.core.engine_payloads import Pushed
from wsrecorder.core.engine_schedule import Schedule

SECOND_NS = 1_000_000_000
EPOCH_MS = 1_764_000_000_000


def schedule(
    *,
    seed: int = 1,
    rate: float = 10,
    burst: int = 8,
    heartbeat_ns: int = 30 * SECOND_NS,
    max_events: int | None = None,
) -> Schedule:
    return Schedule(Engine(seed), rate=rate, burst=burst, heartbeat_ns=heartbeat_ns, max_events=max_events)


def run(plan: Schedule, until_ns: int, lateness_ns: tuple[int, ...] = (0,)) -> list[tuple[int, Pushed]]:
    """Take everything up to a time, each time later than due by the next of some latenesses."""
    taken = [(0, event) for event in plan.start(0, EPOCH_MS)]
    now_ns = 0
    late = itertools.cycle(lateness_ns)
    while plan.due_ns <= until_ns:
        now_ns = max(now_ns, plan.due_ns + next(late))
        taken += [(now_ns, event) for event in plan.take(now_ns, EPOCH_MS + now_ns // 1_000_000)]
    return taken


def test_it_starts_with_a_burst_that_shares_one_time_stamp_and_begins_with_the_snapshot() -> None:
    burst = schedule(burst=8).start(5, EPOCH_MS)
    assert len(burst) >= 8
    assert {event.sent_ms for event in burst} == {EPOCH_MS}
    assert [event.type for event in burst[:3]] == ["ENGINE_UPDATE", "ORDER_UPDATE", "POSITION_UPDATE"]


def test_each_heartbeat_is_followed_by_a_burst_and_comes_after_the_interval() -> None:
    taken = run(schedule(rate=0, burst=5), 3_600 * SECOND_NS)
    beats = [at_ns for at_ns, event in taken if event.type == "HEARTBEAT"]
    assert beats == [number * 30 * SECOND_NS for number in range(1, 121)]
    for number, (_, event) in enumerate(taken):
        if event.type == "HEARTBEAT":
            assert [later.type for _, later in taken[number + 1 : number + 3]] == ["ENGINE_UPDATE", "ORDER_UPDATE"]


@given(rate=st.floats(0.5, 5_000))
def test_events_between_bursts_keep_the_rate(rate: float) -> None:
    plan = schedule(rate=rate, burst=0, heartbeat_ns=10_000_000 * SECOND_NS)
    seconds = 2_000 / rate
    assert len(run(plan, round(seconds * SECOND_NS))) == pytest.approx(2_000, abs=60)


def test_nothing_is_taken_before_it_is_due() -> None:
    plan = schedule(rate=0)
    plan.start(0, EPOCH_MS)
    assert plan.take(plan.due_ns - 1, EPOCH_MS) == []
    assert plan.take(plan.due_ns, EPOCH_MS) != []


@given(lateness_ns=st.lists(st.integers(0, SECOND_NS), min_size=1, max_size=7))
def test_lateness_under_a_second_changes_neither_order_nor_pace(lateness_ns: list[int]) -> None:
    on_time = run(schedule(heartbeat_ns=2 * SECOND_NS), 30 * SECOND_NS)
    late = run(schedule(heartbeat_ns=2 * SECOND_NS), 30 * SECOND_NS, tuple(lateness_ns))
    assert [event.type for _, event in late] == [event.type for _, event in on_time]
    assert all(0 <= late_ns - due_ns <= SECOND_NS for (late_ns, _), (due_ns, _) in zip(late, on_time, strict=True))


def test_a_server_that_hung_does_not_make_up_for_it() -> None:
    plan = schedule(rate=10, burst=0, heartbeat_ns=100 * SECOND_NS)
    plan.start(0, EPOCH_MS)
    hung_ns = 60 * SECOND_NS
    plan.take(hung_ns, EPOCH_MS)
    assert plan.due_ns >= hung_ns


def test_after_a_stall_a_heartbeat_and_a_burst_are_due_at_once() -> None:
    plan = schedule()
    plan.start(0, EPOCH_MS)
    plan.resume(77)
    assert plan.due_ns == 77
    types = [event.type for event in plan.take(77, EPOCH_MS)]
    assert types[:2] == ["HEARTBEAT", "ENGINE_UPDATE"]


def test_at_its_end_only_heartbeats_go_on() -> None:
    plan = schedule(max_events=100)
    taken = run(plan, 300 * SECOND_NS)
    types = [event.type for _, event in taken]
    assert plan.is_finished
    assert 100 <= plan.events_taken == len(types) - types.count("HEARTBEAT") < 130
    assert types[-9:] == ["HEARTBEAT"] * 9
