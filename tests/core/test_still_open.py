"""Of the last events, those that carry what is open make the same state as all of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsrecorder.core.engine import Engine
from wsrecorder.core.entity_key import entity_key
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.core.projection import advance, initial_states
from wsrecorder.core.still_open import STATE_TYPES, still_open


def event(seq: int, type: str, data: Any, ts: int = 0) -> Event:
    text = json.dumps({"type": type, "ts": ts, "data": data})
    return Event(seq, Kind.MESSAGE, 0, Direction.IN, seq, seq, type, ts * 1_000, text)


def folded(events: list[Event]) -> dict[str, Any]:
    states = initial_states()
    for each in events:
        states = advance(states, each)
    return states


def picture(events: list[Event]) -> tuple[Any, ...]:
    states = folded(events)
    return (
        states["engine"].state,
        states["engine"].running,
        states["scan"],
        {each.id for each in states["orders"].orders},
        {each.id for each in states["positions"].positions},
    )


def last_of(events: list[Event]) -> list[Event]:
    last = {(each.type, entity_key(each.payload or b"")): each for each in events}
    return sorted(last.values(), key=lambda each: each.seq)


@given(seed=st.integers(0, 1_000), count=st.integers(1, 1_500))
@settings(max_examples=25, deadline=None)
def test_the_picture_is_that_of_all_events(seed: int, count: int) -> None:
    stream = Engine(seed, nan=0.1).stream(1_764_000_000_000, 20.0)
    events = [
        Event(seq, Kind.MESSAGE, 0, Direction.IN, seq, seq, one.type, one.sent_ms * 1_000, one.payload)
        for seq, one in zip(range(count), stream, strict=False)
    ]
    told = [each for each in last_of(events) if each.type in STATE_TYPES]
    kept = still_open(told)
    assert picture(kept) == picture(events)
    assert {each.seq for each in kept} <= {each.seq for each in told}


ORDER = {"symbol": "X", "status": "open"}


def seqs(*events: Event) -> list[int]:
    return [each.seq for each in still_open(events)]


def test_what_ended_is_left_out() -> None:
    placed = [
        event(1, "ORDER_PLACED", {"order": ORDER | {"id": "a"}}),
        event(2, "ORDER_PLACED", {"order": ORDER | {"id": "b"}}),
    ]
    ended = event(3, "ORDER_CANCELED", {"order": ORDER | {"id": "a", "status": "canceled"}})
    assert seqs(*placed, ended) == [2]


def test_what_a_list_shows_and_has_ended_since_is_kept_with_its_end() -> None:
    listed = event(2, "ORDER_UPDATE", {"orders": [ORDER | {"id": "a"}]})
    ended = event(3, "ORDER_CANCELED", {"order": ORDER | {"id": "a", "status": "canceled"}})
    assert seqs(event(1, "ORDER_PLACED", {"order": ORDER | {"id": "a"}}), listed, ended) == [2, 3]


def test_what_came_before_a_list_is_left_out() -> None:
    assert seqs(event(1, "ORDER_PLACED", {"order": ORDER | {"id": "a"}}), event(2, "ORDER_UPDATE", {"orders": []})) == [
        2
    ]


def test_engine_and_scan_are_told_by_their_last_events() -> None:
    told = [
        event(1, "FSM_TRANSITION", {"to_state": "scan"}),
        event(2, "ENGINE_UPDATE", {"state": "scan", "running": True}),
        event(3, "SCAN_RESULT", {"results": []}),
        event(4, "SCAN_RESULT", {"broken": 1}),
        event(5, "ERROR", {"message": "x"}),
    ]
    assert seqs(*told) == [1, 2, 3]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"data": NaN}'])
def test_no_payload_fails(text: str) -> None:
    for type in STATE_TYPES:
        still_open([Event(0, Kind.MESSAGE, 0, Direction.IN, 0, 0, type, None, text)])
