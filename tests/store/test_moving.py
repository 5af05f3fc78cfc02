"""Rows made to fit into another session: numbers and times change, all else stays."""

from __future__ import annotations

import json

from tests.store.sessions import batch, event
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.store.moving import moved, numbered
from wsrecorder.store.schema import SCHEMA, from_rows, iter_events


def gap(detail: str | None) -> Event:
    return Event(0, Kind.GAP, 0, Direction.IN, 50, 60, detail=detail)


def details(*found: str | None, by_ns: int = 5) -> list[str | None]:
    return [each.detail for each in iter_events(moved(from_rows([gap(detail) for detail in found]), by_ns))]


def test_numbers_go_on_and_nothing_else_changes() -> None:
    rows = numbered(batch(50, 7), 100)
    assert rows.schema.equals(SCHEMA)
    assert rows.column("seq").to_pylist() == list(range(100, 150))
    assert rows.drop_columns(["seq"]).equals(batch(50, 7).drop_columns(["seq"]))


def test_moved_rows_came_later_in_their_session_and_at_the_same_time() -> None:
    rows = moved(batch(50, 7), -3)
    assert rows.schema.equals(SCHEMA)
    assert [each.elapsed_ns for each in iter_events(rows)] == [event(seq).elapsed_ns - 3 for seq in range(7, 57)]
    assert rows.drop_columns(["elapsed_ns"]).equals(batch(50, 7).drop_columns(["elapsed_ns"]))
    assert moved(batch(5), 0).equals(batch(5))


def test_the_span_of_a_gap_moves_along() -> None:
    found = details('{"cause": "x", "from_ns": 10, "to_ns": 50, "duration_s": 4e-8}')[0]
    assert json.loads(found or "") == {"cause": "x", "from_ns": 15, "to_ns": 55, "duration_s": 4e-8}


def test_a_gap_that_tells_no_span_stays_as_it_is() -> None:
    odd = ['{"cause": "x"}', "[1]", "no JSON", None]
    assert details(*odd) == odd


def test_only_gaps_have_spans() -> None:
    note = Event(0, Kind.NOTE, 0, Direction.IN, 50, 60, detail='{"from_ns": 1}')
    assert [each.detail for each in iter_events(moved(from_rows([note, gap(None)]), 5))] == ['{"from_ns": 1}', None]
