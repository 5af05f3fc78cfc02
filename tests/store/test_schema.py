"""Columns: what the recorder collected goes in, the same events come out."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.store.sessions import batch, events
from wsrecorder.core.dialect import ENGINE, Dialect, EnvelopeReader
from wsrecorder.core.event import Direction, Event, Kind, Opcode
from wsrecorder.core.recorder import Limits, Recorder
from wsrecorder.errors import FormatTooNew, SegmentDamaged
from wsrecorder.store.schema import (
    COLUMNS,
    NOT_UTF8,
    SCHEMA,
    check_version,
    conform,
    encode,
    from_rows,
    iter_events,
    text_opcodes,
    to_table,
)

READER = EnvelopeReader(ENGINE)
FRAMES = st.lists(st.tuples(st.binary(max_size=40) | st.text(max_size=20).map(str.encode), st.sampled_from(Opcode)))


def recorded(frames: list[tuple[bytes, Opcode]]) -> pa.RecordBatch:
    """Return frames as the recorder and the store make rows of them, a mark before them."""
    recorder = Recorder(Limits(), 0)
    recorder.opened(0, {"url": "ws://feed"})
    for index, (payload, opcode) in enumerate(frames):
        recorder.frame(payload, opcode, index * 1_000_000)
    taken = recorder.take(1_764_000_000_000_000_000)
    assert taken is not None
    return encode(taken, READER)


@given(FRAMES)
@example([(b"", Opcode.TEXT), (b"", Opcode.BINARY)])
@example([(b"\xed\xa0\x80", Opcode.TEXT)])  # half a surrogate pair is not UTF-8
@example([(b"\xf4\x90\x80\x80", Opcode.TEXT), (b"\0", Opcode.TEXT)])
@example([(b'{"type": "\\ud800", "ts": 1}', Opcode.TEXT)])
def test_any_payload_keeps_bytes_and_opcode(frames: list[tuple[bytes, Opcode]]) -> None:
    rows = recorded(frames)
    rows.validate(full=True)
    found = list(iter_events(rows))[1:]
    assert [event.payload for event in found] == [payload for payload, _ in frames]
    is_text = text_opcodes(rows).to_pylist()[1:]
    assert is_text == [opcode is Opcode.TEXT for _, opcode in frames]


def test_text_that_is_not_utf8_stays_a_text_frame_and_says_so() -> None:
    rows = recorded([(b"\xff", Opcode.TEXT), (b"\xff", Opcode.BINARY), (b"ok", Opcode.TEXT)])
    _, text, binary, fine = iter_events(rows)
    assert (text.text, text.binary, text.detail) == (None, b"\xff", NOT_UTF8)
    assert (binary.text, binary.binary, binary.detail) == (None, b"\xff", None)
    assert (fine.text, fine.binary, fine.detail) == ("ok", None, None)
    assert text_opcodes(rows).to_pylist() == [False, True, False, True]


def test_a_batch_without_marks_or_binary_frames_is_encoded_alike() -> None:
    recorder = Recorder(Limits(), 0)
    for payload in (b'{"type": "A", "ts": 5}', b"", "é".encode()):
        recorder.frame(payload, Opcode.TEXT, 7)
    taken = recorder.take(0)
    assert taken is not None
    rows = encode(taken, READER)
    assert rows.schema.equals(SCHEMA)
    assert [event.text for event in iter_events(rows)] == ['{"type": "A", "ts": 5}', "", "é"]
    assert [event.type for event in iter_events(rows)] == ["A", None, None]
    assert text_opcodes(rows).to_pylist() == [True] * 3


def test_marks_connections_and_directions_have_their_rows() -> None:
    recorder = Recorder(Limits(), 1_000)
    recorder.opened(1_000, {"url": "ws://feed"})
    recorder.sent(b"subscribe", Opcode.TEXT, 2_000)
    recorder.frame(b"a", Opcode.BINARY, 3_000)
    recorder.closed(4_000, code=1006, reason="", cause="lost")
    recorder.opened(5_000, {})
    taken = recorder.take(1_764_000_000_000_000_000)
    assert taken is not None
    rows = encode(taken, READER)
    found = [(event.seq, event.kind, event.conn, event.direction, event.elapsed_ns) for event in iter_events(rows)]
    assert found == [
        (0, Kind.OPEN, 0, Direction.IN, 0),
        (1, Kind.MESSAGE, 0, Direction.OUT, 1_000),
        (2, Kind.MESSAGE, 0, Direction.IN, 2_000),
        (3, Kind.CLOSE, 0, Direction.IN, 3_000),
        (4, Kind.GAP, 0, Direction.IN, 4_000),
        (5, Kind.OPEN, 1, Direction.IN, 4_000),
    ]
    details = [json.loads(event.detail) for event in iter_events(rows) if event.detail]
    assert details[1] == {"code": 1006, "reason": "", "cause": "lost"}


def test_received_at_is_received_ns_cut_to_us() -> None:
    rows = recorded([(b"a", Opcode.TEXT)])
    for found in rows.to_pylist():
        received_us = round(found["received_at"].timestamp() * 1e6)
        assert received_us == found["received_ns"] // 1_000


def test_sent_at_follows_the_dialect() -> None:
    recorder = Recorder(Limits(), 0)
    recorder.frame(b'{"e": "trade", "E": 1764000000123456}', Opcode.TEXT, 0)
    taken = recorder.take(0)
    assert taken is not None
    rows = encode(taken, EnvelopeReader(Dialect(type_path="e", ts_path="E", ts_unit="us")))
    (found,) = iter_events(rows)
    assert (found.type, found.sent_at_us) == ("trade", 1_764_000_000_123_456)


@given(st.integers(0, 90), st.integers(0, 10**9))
def test_events_go_in_and_come_out(count: int, first_seq: int) -> None:
    rows = from_rows(events(count, first_seq))
    assert rows.schema.equals(SCHEMA)
    assert list(iter_events(rows)) == events(count, first_seq)


def test_slices_are_read_as_such() -> None:
    assert list(iter_events(batch(50).slice(13, 20))) == events(20, 13)


def test_conform_takes_what_other_engines_give() -> None:
    rows = batch(50)
    plain = [column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column for column in rows.columns]
    plain[COLUMNS.index("received_at")] = rows.column("received_at").cast(pa.timestamp("us", tz="Europe/Berlin"))
    foreign = pa.RecordBatch.from_arrays(plain, names=list(COLUMNS))
    assert list(iter_events(foreign)) == events(50)  # plain words are understood as they are
    assert conform(foreign).schema.types == SCHEMA.types
    assert list(iter_events(conform(foreign))) == events(50)


def test_a_table_of_no_batches_has_its_columns() -> None:
    assert to_table([], ["seq", "text"]).schema == pa.schema([SCHEMA.field("seq"), SCHEMA.field("text")])
    assert to_table([batch(20), batch(5, 20)], COLUMNS).num_rows == 25


def test_a_newer_version_is_named_with_the_one_known() -> None:
    check_version("1", Path("x"))
    with pytest.raises(FormatTooNew, match="version 2, this wsrec knows versions up to 1"):
        check_version("2", Path("x"))


@pytest.mark.parametrize("found", ["", "0", "-1", "one", "1.0", "True", "٣"])
def test_what_is_no_version_is_damage(found: str) -> None:
    with pytest.raises(SegmentDamaged, match="format version"):
        check_version(found, Path("x"))


def test_columns_of_the_format_are_nullable_only_where_it_says_so() -> None:
    assert [field.name for field in SCHEMA if field.nullable] == ["type", "sent_at", "text", "binary", "detail"]
    assert not any(pa.types.is_unsigned_integer(field.type) for field in SCHEMA)


def test_an_event_without_a_word_keeps_its_null() -> None:
    row = Event(0, Kind.MESSAGE, 0, Direction.IN, 0, 0, binary=b"x")
    assert list(iter_events(from_rows([row]))) == [row]
