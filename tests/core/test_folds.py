"""The folds of the feed: laws, odd payloads, and the simulated engine's own truth at every moment."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_lenient import JSON
from wsrecorder.core.engine import Engine
from wsrecorder.core.engine_book import GroundTruth
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.core.folds import EngineStatus, LastScan, OpenOrders, OpenPositions
from wsrecorder.core.projection import (
    ENGINE_STATUS,
    LAST_SCAN,
    OPEN_ORDERS,
    OPEN_POSITIONS,
    Projection,
    advance,
    initial_states,
)

START_MS = 1_764_000_000_000
OURS = (ENGINE_STATUS, OPEN_ORDERS, OPEN_POSITIONS, LAST_SCAN)


def event(type: str, data: Any = None, *, text: str | None = None, sent_ms: int | None = START_MS) -> Event:
    payload = json.dumps({"type": type, "ts": sent_ms, "data": data}) if text is None else text
    sent_at_us = None if sent_ms is None else sent_ms * 1_000
    return Event(0, Kind.MESSAGE, 0, Direction.IN, 0, 0, type=type, sent_at_us=sent_at_us, text=payload)


def folded(projection: Projection, *events: Event, state: Any = None) -> Any:
    state = projection.initial if state is None else state
    for each in events:
        if each.type in projection.types:
            state = projection.fold(state, each)
    return state


def order(id: str, status: str = "open", **more: Any) -> dict[str, Any]:
    return {"order": {"id": id, "status": status, **more}}


def orders(*events: Event) -> list[str]:
    return [each.id for each in folded(OPEN_ORDERS, *events).orders]


def positions(*events: Event) -> list[str]:
    return [each.id for each in folded(OPEN_POSITIONS, *events).positions]


# Orders


def test_an_order_is_open_from_placed_to_filled() -> None:
    placed, filled = event("ORDER_PLACED", order("a")), event("ORDER_UPDATED", order("a", "filled"))
    assert orders(placed) == ["a"]
    assert orders(placed, filled) == []


def test_an_order_updated_before_it_is_placed_is_open_once() -> None:
    moved = event("ORDER_UPDATED", order("a", price=5))
    assert orders(moved) == ["a"]
    assert orders(moved, event("ORDER_PLACED", order("a"))) == ["a"]
    assert folded(OPEN_ORDERS, moved, event("ORDER_PLACED", order("a", qty=1))).orders[0].price == 5


def test_an_order_that_ended_is_not_opened_by_a_late_event() -> None:
    ended = event("ORDER_CANCELED", order("a", "canceled"))
    assert orders(ended, event("ORDER_PLACED", order("a"))) == []
    assert orders(event("ORDER_PLACED", order("a")), ended, ended) == []


def test_only_so_many_ended_orders_are_remembered() -> None:
    state = folded(OPEN_ORDERS, *(event("ORDER_CANCELED", order(str(n))) for n in range(1_000)))
    assert len(state.ended) == 256
    assert state.ended[-1] == "999"


def test_a_partly_filled_order_is_open() -> None:
    assert orders(event("ORDER_UPDATED", order("a", "partially_filled"))) == ["a"]


def test_the_list_of_orders_replaces_what_was_known() -> None:
    listed = event("ORDER_UPDATE", {"orders": [{"id": "b", "status": "open"}, {"id": "c", "status": "filled"}]})
    assert orders(event("ORDER_PLACED", order("a")), listed) == ["b"]
    assert orders(listed, event("ORDER_UPDATE", {"orders": []})) == []


def test_a_list_with_a_broken_entry_only_adds() -> None:
    listed = event("ORDER_UPDATE", {"orders": [{"id": "b"}, None]})
    assert orders(event("ORDER_PLACED", order("a")), listed) == ["a", "b"]


def test_a_number_that_is_none_leaves_what_was_known() -> None:
    broken = event("ORDER_UPDATED", text='{"data": {"order": {"id": "a", "price": NaN, "qty": 2}}}')
    [found] = folded(OPEN_ORDERS, event("ORDER_PLACED", order("a", price=5, qty=1)), broken).orders
    assert (found.price, found.qty) == (5, 2)


# Positions


@pytest.mark.parametrize("many", [False, True])
def test_both_variants_of_position_update_are_read(many: bool) -> None:
    entry = {"id": "p", "sl": 5}
    update = event("POSITION_UPDATE", {"positions": [entry]} if many else {"position": entry})
    [found] = folded(OPEN_POSITIONS, event("POSITION_OPEN", {"position": {"id": "p", "sl": 1}}), update).positions
    assert found.stop == 5


def test_a_moved_stop_is_known() -> None:
    opened = event("POSITION_OPEN", {"position": {"id": "p", "sl": 1, "entry": 3}})
    moved = event("STOP_MOVED", {"position_id": "p", "old_stop": 1, "new_stop": 2})
    [found] = folded(OPEN_POSITIONS, opened, moved).positions
    assert (found.stop, found.entry) == (2, 3)


def test_a_stop_of_a_position_never_seen_tells_of_it() -> None:
    [found] = folded(OPEN_POSITIONS, event("STOP_MOVED", {"position_id": "p", "new_stop": 2})).positions
    assert (found.id, found.stop, found.entry) == ("p", 2, None)


def test_a_closed_position_stays_closed() -> None:
    opened, closed = (event(f"POSITION_{what}", {"position": {"id": "p"}}) for what in ("OPEN", "CLOSE"))
    late = event("STOP_MOVED", {"position_id": "p", "new_stop": 2})
    assert positions(opened) == ["p"]
    assert positions(opened, closed, late, opened) == []


# Engine


def test_the_state_lasts_since_it_was_entered() -> None:
    moved = event("FSM_TRANSITION", {"from_state": "idle", "to_state": "scanning", "reason": "go", "timestamp": 5})
    update = event("ENGINE_UPDATE", {"state": "SCANNING", "running": True, "timestamp": 9})
    assert folded(ENGINE_STATUS, moved) == EngineStatus(state="scanning", since_ms=5, reason="go")
    assert folded(ENGINE_STATUS, moved, update) == EngineStatus(state="SCANNING", running=True, since_ms=5, reason="go")


def test_a_state_without_a_transition_begins_with_its_update() -> None:
    first = event("ENGINE_UPDATE", {"state": "idle", "running": False}, sent_ms=7)
    again = event("ENGINE_UPDATE", {"state": "idle"}, sent_ms=8)
    other = event("ENGINE_UPDATE", {"state": "error"}, sent_ms=None)
    assert folded(ENGINE_STATUS, first, again) == EngineStatus(state="idle", running=False, since_ms=7)
    assert folded(ENGINE_STATUS, first, other) == EngineStatus(state="error", running=False, since_ms=None)


def test_a_transition_leaves_whether_it_runs() -> None:
    update = event("ENGINE_UPDATE", {"state": "scanning", "running": True})
    assert folded(ENGINE_STATUS, update, event("FSM_TRANSITION", {"to_state": "managing"})).running is True


# Scans


def test_the_last_scan_counts() -> None:
    row = {"symbol": "X", "rank": 1, "score": 0.5, "market_data": {"last": 3}}
    first, last = event("SCAN_RESULT", {"results": [row]}), event("SCAN_RESULT", {"results": [{}], "timestamp": 4})
    assert folded(LAST_SCAN, first).candidates[0].last == 3
    assert folded(LAST_SCAN, first, last).scanned_ms == 4
    assert folded(LAST_SCAN, first, event("SCAN_RESULT", {"results": []})) == LastScan(scanned_ms=START_MS)


# All of them

_IDS = st.sampled_from(["a", "b", "c"])
_STATUS = st.sampled_from(["open", "filled", "canceled", None])
_ENTRY = st.fixed_dictionaries(
    {"id": _IDS}, optional={"status": _STATUS, "price": st.integers(0, 3), "sl": st.floats()}
)
_EVENTS = st.one_of(
    st.builds(
        lambda type, entry: event(type, {"order": entry}),
        st.sampled_from(["ORDER_PLACED", "ORDER_UPDATED", "ORDER_CANCELED"]),
        _ENTRY,
    ),
    st.builds(lambda entries: event("ORDER_UPDATE", {"orders": entries}), st.lists(_ENTRY, max_size=3)),
    st.builds(
        lambda type, entry: event(type, {"position": entry}),
        st.sampled_from(["POSITION_OPEN", "POSITION_UPDATE", "POSITION_CLOSE"]),
        _ENTRY,
    ),
    st.builds(lambda entries: event("POSITION_UPDATE", {"positions": entries}), st.lists(_ENTRY, max_size=3)),
    st.builds(lambda id, stop: event("STOP_MOVED", {"position_id": id, "new_stop": stop}), _IDS, st.integers(0, 3)),
    st.builds(
        lambda state, running, ms: event("ENGINE_UPDATE", {"state": state, "running": running, "timestamp": ms}),
        st.sampled_from(["idle", "IDLE", "error", None]),
        st.sampled_from([True, False, None]),
        st.integers(0, 9),
    ),
    st.builds(
        lambda state, ms: event("FSM_TRANSITION", {"to_state": state, "timestamp": ms}),
        st.sampled_from(["idle", "error", None]),
        st.integers(0, 9),
    ),
    st.builds(lambda rows: event("SCAN_RESULT", {"results": rows}), st.lists(st.just({"rank": 1}), max_size=2)),
    st.builds(event, st.sampled_from(sorted({name for each in OURS for name in each.types})), JSON),
)


@given(st.lists(_EVENTS, max_size=12), st.lists(_EVENTS, max_size=12))
def test_what_comes_before_a_settled_state_makes_no_difference(before: list[Event], after: list[Event]) -> None:
    for projection in OURS:
        if all(
            any(each.type in projection.types and settles(each) for each in after) for settles in projection.settled_by
        ):
            assert folded(projection, *before, *after) == folded(projection, *after)


@given(st.lists(_EVENTS, max_size=20))
def test_an_event_that_comes_twice_changes_nothing(events: list[Event]) -> None:
    for projection in OURS:
        twice = [each for one in events for each in (one, one)]
        assert folded(projection, *twice) == folded(projection, *events)


@given(st.lists(_EVENTS, max_size=20))
def test_a_state_is_a_value_that_never_changes(events: list[Event]) -> None:
    for projection in OURS:
        state = projection.initial
        for each in events:
            if each.type in projection.types:
                before = repr(state)
                state, old = projection.fold(state, each), state
                assert repr(old) == before
        hash(state)


@given(st.sampled_from(OURS), JSON, st.binary(max_size=20))
def test_a_payload_of_another_shape_changes_nothing(projection: Projection, data: Any, raw: bytes) -> None:
    state = folded(projection, *_some_events())
    for name in sorted(projection.types):
        shapes = [event(name, [data]), event(name, text=json.dumps(data)[:-1] + "{")]
        shapes.append(Event(0, Kind.MESSAGE, 0, Direction.IN, 0, 0, type=name, binary=b"\xff" + raw))
        for each in shapes:
            assert projection.fold(state, each) == state


def _some_events() -> list[Event]:
    engine = Engine(3)
    pushed = [pushed for step in range(60) for pushed in engine.step(START_MS + step * 50)]
    return [event(each.type, text=each.payload, sent_ms=each.sent_ms) for each in pushed]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_at_every_moment_the_state_is_the_truth(seed: int) -> None:
    truth = GroundTruth()
    engine = Engine(seed, nan=0.2, truth=truth)
    states = initial_states(OURS)
    had_orders = had_positions = 0
    for step in range(1_500):
        now_ms = START_MS + step * 50
        for pushed in engine.step(now_ms) + (engine.snapshot(now_ms) if step % 400 == 7 else []):
            states = advance(states, event(pushed.type, text=pushed.payload, sent_ms=pushed.sent_ms), OURS)
        open_orders = [each for each in truth.orders.values() if each.status == "open"]
        open_positions = [each for each in truth.positions.values() if each.status == "open"]
        had_orders, had_positions = had_orders + len(open_orders), had_positions + len(open_positions)
        assert [
            (each.id, each.symbol, each.side, each.kind, each.qty, each.price, each.placed_ms)
            for each in states["orders"].orders
        ] == [
            (each.id, each.symbol, each.side, each.type, each.qty, each.price, each.placed_ms) for each in open_orders
        ]
        assert [
            (each.id, each.symbol, each.side, each.entry, each.stop, each.opened_ms)
            for each in states["positions"].positions
        ] == [(each.id, each.symbol, each.side, each.entry, each.stop, each.opened_ms) for each in open_positions]
        if states["engine"].state is not None:
            assert states["engine"].state == engine.state
            assert states["engine"].running is engine.is_running
    assert min(had_orders, had_positions) > 100


def test_nothing_is_known_before_the_first_event() -> None:
    assert initial_states(OURS) == {
        "engine": EngineStatus(), "orders": OpenOrders(), "positions": OpenPositions(), "scan": LastScan(),
    }  # fmt: skip
