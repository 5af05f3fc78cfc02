from __future__ import annotations

import json

from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.jobs.placing import Placing
from wsrecorder.store.schema import iter_events


def message(seq: int, elapsed_ns: int) -> Event:
    return Event(seq, Kind.MESSAGE, 0, Direction.IN, elapsed_ns, 1_000_000 + elapsed_ns, text="x")


def test_whole_session_keeps_numbers_and_places() -> None:
    events = [message(0, 5), message(1, 9), message(2, 11)]
    placing = Placing(events[0])
    found = [*iter_events(placing.rows(events[:2])), *iter_events(placing.rows(events[2:]))]
    assert found == events
    assert placing.started_ns == 1_000_000
    assert placing.notes() == []


def test_part_of_a_session_begins_at_its_first_event() -> None:
    placing = Placing(message(7, 500))
    found = list(iter_events(placing.rows([message(7, 500), message(9, 600)])))
    assert [(event.seq, event.elapsed_ns, event.received_ns) for event in found] == [
        (0, 0, 1_000_500),
        (1, 100, 1_000_600),
    ]
    assert placing.started_ns == 1_000_500
    assert placing.notes() == [
        "2 events were numbered anew: their numbers did not begin with 0 or had holes",
        "the events are a part of a session, from 500ns on: this one begins with the first of them",
    ]


def test_span_of_a_gap_moves_with_its_session() -> None:
    placing = Placing(message(7, 500))
    detail = json.dumps({"cause": "lost", "from_ns": 400, "to_ns": 700, "duration_s": 0.0})
    gap = Event(8, Kind.GAP, 0, Direction.IN, 700, 1_000_700, detail=detail)
    note = Event(9, Kind.GAP, 0, Direction.IN, 700, 1_000_700, detail="[1]")
    found = list(iter_events(placing.rows([message(7, 500), gap, note])))
    assert json.loads(found[1].detail or "") == {"cause": "lost", "from_ns": -100, "to_ns": 200, "duration_s": 0.0}
    assert found[2].detail == "[1]"


def test_holes_are_closed_across_batches() -> None:
    placing = Placing(message(0, 0))
    found = [*iter_events(placing.rows([message(0, 0), message(4, 1)])), *iter_events(placing.rows([message(9, 2)]))]
    assert [event.seq for event in found] == [0, 1, 2]
    assert placing.notes() == ["2 events were numbered anew: their numbers did not begin with 0 or had holes"]
