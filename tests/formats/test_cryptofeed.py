from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.dialect import Dialect
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.errors import SessionError
from wsrecorder.formats.cryptofeed import CryptofeedReader, is_capture
from wsrecorder.formats.lines import Lines

OPENED = b"wss://feed.example <-> 1618677816.8434298\n"


def read(content: bytes) -> tuple[list[Event], CryptofeedReader]:
    reader = CryptofeedReader(Lines(io.BytesIO(content), "capture"))
    return [event for batch in reader.batches() for event in batch], reader


def payloads(content: bytes) -> list[bytes | None]:
    return [event.payload for event in read(content)[0] if event.kind is Kind.MESSAGE]


def test_each_kind_of_line_becomes_its_event() -> None:
    events, reader = read(
        OPENED
        + b'wss://feed.example <- 1618677817.5: {"sub": 1}\n1618677818.25: {"type":"T"}\n1618677818.5: b"\\x00\'"\n'
    )
    start_ns = 1618677816843429800
    detail = json.dumps({"url": "wss://feed.example"})
    assert events == [
        Event(0, Kind.OPEN, 0, Direction.IN, 0, start_ns, detail=detail),
        Event(1, Kind.MESSAGE, 0, Direction.OUT, 656570200, 1618677817500000000, text='{"sub": 1}'),
        Event(2, Kind.MESSAGE, 0, Direction.IN, 1406570200, 1618677818250000000, "T", text='{"type":"T"}'),
        Event(3, Kind.MESSAGE, 0, Direction.IN, 1656570200, 1618677818500000000, binary=b"\x00'"),
    ]
    assert reader.feed == "wss://feed.example"
    assert reader.notes == []


@pytest.mark.parametrize(
    ("written", "time_ns"),
    [
        (b"1618677816.8434298", 1618677816_843429800),
        (b"1618677816.843429812", 1618677816_843429812),
        (b"1618677816.8434298129", 1618677816_843429812),
        (b"1618677816", 1618677816_000000000),
        (b"0.5", 500_000_000),
    ],
)
def test_times_are_exact_to_the_nanosecond(written: bytes, time_ns: int) -> None:
    assert read(written + b": x\n")[0][0].received_ns == time_ns


@pytest.mark.parametrize(
    "payload",
    [b"a: b: c", b"", b" x ", b"1618677816.5: {}", b"wss://a <-> 5", b"b", b"\xc3\xa9 \xf0\x9f\x8e\xb2", b'{"a": NaN}'],
)
def test_text_payloads_are_kept_as_they_are(payload: bytes) -> None:
    assert payloads(b"1.5: " + payload + b"\n") == [payload]


@given(st.binary(max_size=200))
def test_any_binary_payload_survives_its_literal(payload: bytes) -> None:
    assert payloads(f"1.5: {payload!r}\n".encode()) == [payload]


@given(st.text(max_size=50).filter(lambda text: "\n" not in text and text[:2] not in ("b'", 'b"')))
def test_any_text_without_a_line_feed_survives(text: str) -> None:
    assert payloads(b"0.1: start\n1.5: " + text.encode() + b"\n") == [b"start", text.encode()]


@pytest.mark.parametrize(
    "literal",
    [b"b'abc", b"b'a' + b'b'", b"b'\\x0'", b"b'\\q'", b"b'a'b'c'", b"b'\xc3\xa9'", b"b'\\777'", b"b'''x'''", b"b'a'.x"],
)
def test_what_is_not_one_bytes_literal_is_never_evaluated(literal: bytes) -> None:
    with pytest.raises(SessionError, match="capture, line 1: not a whole bytes literal"):
        read(b"1.5: " + literal + b"\n2.5: {}\n")


def test_second_connection_leaves_close_gap_and_open() -> None:
    events, _ = read(OPENED + b"1618677820.0: {}\nwss://feed.example <-> 1618677825.0\n1618677826.0: {}\n")
    assert [(event.kind, event.conn) for event in events] == [
        (Kind.OPEN, 0),
        (Kind.MESSAGE, 0),
        (Kind.CLOSE, 0),
        (Kind.GAP, 0),
        (Kind.OPEN, 1),
        (Kind.MESSAGE, 1),
    ]
    assert json.loads(events[2].detail or "")["code"] == 1006
    gap = json.loads(events[3].detail or "")
    assert (gap["from_ns"], gap["to_ns"]) == (events[1].elapsed_ns, events[4].elapsed_ns)
    assert gap["duration_s"] == 5.0
    assert events[2].elapsed_ns == events[1].elapsed_ns


def test_file_of_a_rotation_begins_in_the_middle_of_a_connection() -> None:
    events, reader = read(b"1.5: {}\n")
    assert [event.kind for event in events] == [Kind.MESSAGE]
    assert reader.feed == ""


def test_credentials_do_not_reach_the_events() -> None:
    lines = Lines(io.BytesIO(b"wss://u:p@feed.example <-> 1.5\n"), "capture")
    reader = CryptofeedReader(lines, None, lambda url: url.replace("u:p", "***"))
    events = [event for batch in reader.batches() for event in batch]
    assert "u:p" not in (events[0].detail or "")
    assert reader.feed == "wss://***@feed.example"


def test_dialect_reads_type_and_time_stamp() -> None:
    lines = Lines(io.BytesIO(b'1.5: {"data":{"e":"trade","E":1626916403871}}\n'), "capture")
    reader = CryptofeedReader(lines, Dialect(type_path="data.e", ts_path="data.E"))
    event = next(reader.batches())[0]
    assert (event.type, event.sent_at_us) == ("trade", 1626916403871000)


def test_empty_lines_header_and_http_answers_are_no_frames() -> None:
    events, reader = read(b'configuration: {"x": 1}\n\n1.5: {}\nhttps://api.example -> 1.6: {"big": 1}\n\n\n')
    assert [event.text for event in events] == ["{}"]
    assert reader.notes == ["1 answers to HTTP requests were left out: they are not frames"]


@pytest.mark.parametrize(
    "cut",
    [
        b'1618677818.25: {"type":"T"',
        b"1618677818.25: b'\\x00\\x1",
        b"1618677818.25: 12",
        b"16186778",
        b"1618677818.25:",
        b"wss://feed.exam",
        b"wss://feed.example <-> 16186",
        b"1618677818.25: b'\\x00\\x1\n",
        b"1618677818.25: \xf0\x9f",
    ],
)
def test_last_line_cut_short_is_left_out_and_said(cut: bytes) -> None:
    events, reader = read(OPENED + b"1618677817.5: {}\n" + cut)
    assert [event.kind for event in events] == [Kind.OPEN, Kind.MESSAGE]
    assert len(reader.notes) == 1
    assert reader.notes[0].startswith("line 3 is cut short and was left out")


@pytest.mark.parametrize("last", [b'1618677818.25: {"type":"T"}', b"1618677818.25: b'ab'", b"1618677818.25: [1]"])
def test_last_line_that_is_whole_counts_without_its_end(last: bytes) -> None:
    events, reader = read(OPENED + last)
    assert len(events) == 2
    assert reader.notes == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"what is this", "not a line of a cryptofeed capture: 'what is this'"),
        (b"1618677818.25 {}", "not a line of a cryptofeed capture"),
        (b"-5.0: {}", "not a line of a cryptofeed capture"),
        (b"configuration: {}", "not a line of a cryptofeed capture"),
        (b"9999999999.0: {}", "time 9999999999 is after the year 2262"),
        (b"1618677818.25: {\xff}", "not UTF-8 at byte 1 of the payload"),
    ],
)
def test_wrong_line_in_the_middle_is_an_error_with_its_number(line: bytes, problem: str) -> None:
    with pytest.raises(SessionError) as caught:
        read(OPENED + line + b"\n1618677819.0: {}\n")
    assert caught.value.message.startswith(f"capture, line 2: {problem}")


def test_single_wrong_line_is_not_taken_for_a_cut() -> None:
    with pytest.raises(SessionError, match="line 1: not a line"):
        read(b"hello")


@pytest.mark.parametrize(
    ("head", "is_one"),
    [
        (b"wss://a <-> 1.5\n", True),
        (b"wss://a <- 1.5: x", True),
        (b"1618677816.8: {}", True),
        (b"configuration: {}", True),
        (b'{"seq": 0}', False),
        (b"", False),
        (b"PAR1", False),
    ],
)
def test_capture_is_known_by_its_first_line(head: bytes, is_one: bool) -> None:
    assert is_capture(head) is is_one
