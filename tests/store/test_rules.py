"""Each rule for events, broken once."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from tests.store.sessions import batch, event
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.store.rules import RowRules
from wsrecorder.store.schema import SCHEMA, from_rows


def broken(*rows: pa.RecordBatch) -> list[str]:
    rules = RowRules()
    return [found for one in rows for found in rules.broken(one)]


def changed(**fields: Any) -> pa.RecordBatch:
    """Return five events, the middle one changed."""
    events = [event(seq) for seq in range(5)]
    middle = {name: getattr(events[2], name) for name in Event.__struct_fields__}
    events[2] = Event(**{**middle, **fields})
    return from_rows(events)


def with_column(name: str, values: pa.Array) -> pa.RecordBatch:
    rows = batch(5)
    columns = [values if field.name == name else rows.column(field.name) for field in SCHEMA]
    return pa.RecordBatch.from_arrays(columns, names=SCHEMA.names)


def test_sound_events_break_no_rule() -> None:
    assert broken(batch(60), batch(30, 60)) == []


def test_a_session_begins_with_event_0() -> None:
    assert broken(batch(5, 1)) == ["goes on with event 1, expected 0"]


def test_a_hole_between_batches() -> None:
    assert broken(batch(5), batch(5, 6), batch(5, 11)) == ["goes on with event 6, expected 5"]


@pytest.mark.parametrize("seq", [0, 1, 3, 9])
def test_a_hole_or_twin_inside_of_a_batch(seq: int) -> None:
    rows = with_column("seq", pa.array([0, 1, seq, 3, 4]))
    assert broken(rows) == ["its sequence has holes or twins between 0 and 4"]


def test_time_that_goes_back_inside_of_a_batch() -> None:
    assert broken(changed(elapsed_ns=1)) == ["elapsed_ns goes back at or after event 0"]


def test_time_that_goes_back_between_batches() -> None:
    late = changed(elapsed_ns=0)
    assert "elapsed_ns goes back at or after event 5" in broken(
        batch(5), with_first(late, seq=5, elapsed_ns=event(4).elapsed_ns - 1)
    )


def with_first(rows: pa.RecordBatch, *, seq: int, elapsed_ns: int) -> pa.RecordBatch:
    first = event(0)
    fields = {name: getattr(first, name) for name in Event.__struct_fields__}
    return from_rows([Event(**{**fields, "seq": seq, "elapsed_ns": elapsed_ns})])


def test_time_may_stand_still() -> None:
    assert broken(changed(elapsed_ns=event(1).elapsed_ns)) == []


def test_received_at_that_is_another_moment() -> None:
    rows = batch(5)
    received_at = rows.column("received_at").cast(pa.int64()).to_pylist()
    received_at[3] += 1
    shifted = pa.array(received_at, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    assert broken(with_column("received_at", shifted)) == ["received_at is not received_ns in µs"]


def test_words_that_are_none() -> None:
    kinds = pa.array(["open", "message", "message", "frame", "message"]).dictionary_encode()
    assert broken(with_column("kind", kinds))[0] == "kind 'frame' is none of close, gap, message, note, open"
    ways = pa.array(["in", "in", "in", "up", "in"]).dictionary_encode()
    assert broken(with_column("direction", ways)) == ["direction 'up' is none of in, out"]


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"text": "x", "binary": b"x"}, "a frame has both text and binary, expected one of them"),
        ({"text": None, "binary": None}, "a frame has neither text nor binary, expected one of them"),
        ({"kind": Kind.NOTE, "text": "x"}, "a mark has a payload, expected none"),
    ],
)
def test_payloads_where_they_do_not_belong(fields: dict[str, Any], rule: str) -> None:
    assert broken(changed(**fields)) == [rule]


def test_nulls_where_there_must_be_none() -> None:
    conns = pa.array([0, 0, None, 0, 0], pa.int32())
    assert broken(with_column("conn", conns)) == ["column conn has nulls, expected none"]


def test_text_that_is_not_utf8() -> None:
    text = pa.Array.from_buffers(
        pa.string(), 5, [None, pa.py_buffer(bytes(4) + (b"\1\0\0\0" * 5)), pa.py_buffer(b"\xff")]
    )
    (found,) = broken(with_column("text", text))
    assert found.startswith("values that no reader can trust")


def test_directions_of_the_format_are_known() -> None:
    assert broken(changed(direction=Direction.OUT)) == []
