from __future__ import annotations

import base64
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.dialect import Dialect
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.errors import SessionError
from wsrecorder.formats import jsonl as jsonl_module
from wsrecorder.formats.jsonl import JsonlReader, encode_lines, write_jsonl
from wsrecorder.formats.lines import Lines
from wsrecorder.store.schema import from_rows

LINE: dict[str, Any] = {"received_ns": 1_700_000_000_000_000_000, "text": "x"}


def read(content: bytes, dialect: Dialect | None = None) -> tuple[list[Event], JsonlReader]:
    reader = JsonlReader(Lines(io.BytesIO(content), "file.jsonl"), dialect)
    return [event for batch in reader.batches() for event in batch], reader


def lines(*objects: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in objects)


texts = st.text(max_size=30)
events = st.builds(
    Event,
    seq=st.just(0),
    kind=st.just(Kind.MESSAGE),
    conn=st.integers(0, 2**31 - 1),
    direction=st.sampled_from(Direction),
    elapsed_ns=st.integers(0, 2**62),
    received_ns=st.integers(-(2**62), 2**62),
    type=st.none() | texts,
    sent_at_us=st.none() | st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999),
    text=texts,
    detail=st.none() | texts,
)


@given(st.lists(events, min_size=1, max_size=5), st.binary(max_size=30))
def test_what_is_read_back_is_what_was_written(rows: list[Event], payload: bytes) -> None:
    rows.append(Event(0, Kind.MESSAGE, 0, Direction.IN, 2**62, 5, binary=payload))
    rows.append(Event(0, Kind.OPEN, 0, Direction.IN, 2**62, 6, detail='{"a": "é"}'))
    rows.sort(key=lambda event: event.elapsed_ns)
    rows = [Event(seq, *(getattr(row, name) for name in Event.__struct_fields__[1:])) for seq, row in enumerate(rows)]
    assert read(encode_lines(from_rows(rows)))[0] == rows


def test_line_holds_every_column_as_a_stranger_expects_it() -> None:
    event = Event(3, Kind.MESSAGE, 1, Direction.OUT, 7, 1_700_000_000_123_456_789, None, 1_000, None, b"\x00\xff", None)
    out = io.BytesIO()
    write_jsonl([from_rows([event])], out)
    assert json.loads(out.getvalue()) == {
        "seq": 3,
        "kind": "message",
        "conn": 1,
        "direction": "out",
        "elapsed_ns": 7,
        "received_ns": 1_700_000_000_123_456_789,
        "received_at": "2023-11-14T22:13:20.123456Z",
        "type": None,
        "sent_at": "1970-01-01T00:00:00.001000Z",
        "text": None,
        "binary": base64.b64encode(b"\x00\xff").decode(),
        "detail": None,
    }


def test_time_and_payload_are_enough() -> None:
    found, _ = read(lines({"received_at": "2023-11-14T22:13:20Z", "text": '{"type": "A", "ts": 5}'}, LINE))
    assert found[0] == Event(
        0, Kind.MESSAGE, 0, Direction.IN, 0, 1_700_000_000_000_000_000, "A", 5_000, '{"type": "A", "ts": 5}'
    )
    assert found[1].type is None


def test_lines_without_numbers_are_numbered_in_their_order() -> None:
    assert [event.seq for event in read(lines(LINE, LINE, {**LINE, "seq": 7}, LINE))[0]] == [0, 1, 7, 8]


def test_time_without_a_zone_is_utc() -> None:
    found, _ = read(lines({"received_at": "2023-11-14T22:13:20", "text": ""}))
    assert found[0].received_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_file_keeps_its_types_unless_a_dialect_is_given() -> None:
    line = {**LINE, "text": '{"e": "new", "E": 9}', "type": "old", "sent_at": None}
    assert read(lines(line))[0][0].type == "old"
    event = read(lines(line), Dialect(type_path="e", ts_path="E"))[0][0]
    assert (event.type, event.sent_at_us) == ("new", 9_000)


def test_what_one_column_lacks_is_read_from_the_payload() -> None:
    text = '{"type": "T", "ts": 9}'
    only_type, only_stamp = read(
        lines({**LINE, "text": text, "type": "mine"}, {**LINE, "text": text, "sent_at": "1970-01-01T00:00:01Z"})
    )[0]
    assert (only_type.type, only_type.sent_at_us) == ("mine", 9_000)
    assert (only_stamp.type, only_stamp.sent_at_us) == ("T", 1_000_000)


def test_places_are_kept_and_never_go_back() -> None:
    found, reader = read(lines(*({**LINE, "elapsed_ns": ns} for ns in (5, 9, 7, 9))))
    assert [event.elapsed_ns for event in found] == [5, 9, 9, 9]
    assert reader.notes == ["1 events are earlier than the one before them; the order of the file was kept"]


def test_places_follow_from_the_times_where_the_file_has_none() -> None:
    found, _ = read(lines(*({"received_ns": ns, "text": ""} for ns in (100, 150, 140))))
    assert [event.elapsed_ns for event in found] == [0, 50, 50]
    assert [event.received_ns for event in found] == [100, 150, 140]


def test_batches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl_module, "BATCH_EVENTS", 2)
    reader = JsonlReader(Lines(io.BytesIO(lines(*[LINE] * 5)), "file.jsonl"))
    assert [len(batch) for batch in reader.batches()] == [2, 2, 1]


def test_empty_lines_are_passed_over() -> None:
    assert len(read(b"\n" + lines(LINE) + b" \n" + lines(LINE))[0]) == 2


def test_last_line_cut_short_is_left_out_and_said() -> None:
    whole = lines(LINE, LINE)
    found, reader = read(whole[:-10])
    assert len(found) == 1
    assert reader.notes[0].startswith("line 2 is cut short and was left out")
    assert len(read(whole[:-1])[0]) == 2, "only the line's end is missing"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"not json", "JSON is malformed"),
        (b"[1]", "Expected `object`, got `array`"),
        (b'{"type": "HEARTBEAT", "ts": 5, "data": {}}', "Object contains unknown field `ts`"),
        (lines({"text": "x"}), "neither received_ns nor received_at"),
        (lines({"received_ns": 1}), "holds text or binary, one of them; found none"),
        (lines({**LINE, "binary": ""}), "found text and binary"),
        (lines({**LINE, "kind": "open"}), "an event of kind open holds neither text nor binary; found text"),
        (lines({"received_ns": 1, "kind": "gap", "detail": "{"}), "detail is not JSON"),
        (lines({**LINE, "kind": "odd"}), "Invalid enum value 'odd'"),
        (lines({**LINE, "seq": -1}), "Expected `int` >= 0"),
        (lines({**LINE, "received_ns": 2**63}), "Expected `int` <="),
        (lines({"received_ns": 1, "binary": "%%"}), "Invalid base64"),
        (lines({**LINE, "sent_at": "soon"}), "Invalid RFC3339"),
        (lines({"received_at": "9000-01-01T00:00:00Z", "text": ""}), "received_at is outside"),
        (b'{"text": "\xff"}', ""),
    ],
)
def test_wrong_line_is_an_error_with_its_number(line: bytes, problem: str) -> None:
    with pytest.raises(SessionError) as caught:
        read(lines(LINE) + line.rstrip(b"\n") + b"\n" + lines(LINE))
    assert caught.value.message.startswith("file.jsonl, line 2: ")
    assert problem in caught.value.message
    assert "\n" not in caught.value.message


def test_last_line_that_is_json_but_no_event_is_no_cut() -> None:
    with pytest.raises(SessionError, match="line 2: Object contains unknown field"):
        read(lines(LINE, {"ts": 5}))


def test_last_line_in_another_encoding_is_no_cut_if_it_has_its_end() -> None:
    first = b'{"received_ns":1,"text":"a"}\n'
    with pytest.raises(SessionError, match="line 2: "):
        read(first + b'{"received_ns":2,"text":"\xe9"}\n')
    assert read(first + b'{"received_ns":2,"text":"\xc3')[1].notes  # cut in the middle of a character


def test_single_wrong_line_is_not_taken_for_a_cut() -> None:
    with pytest.raises(SessionError, match="line 1"):
        read(b"hello")
