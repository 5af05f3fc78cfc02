from __future__ import annotations

import base64
import io
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.traffic import (
    BINARY_FRAMES,
    BROKEN_FRAMES,
    FEED,
    STARTED_NS,
    TEXT_FRAMES,
    any_traffic,
    read,
    traffic,
    written,
)
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.errors import SessionError
from wsrecorder.formats import json_scan
from wsrecorder.formats.har import HarReader, is_har
from wsrecorder.formats.har_export import write_har
from wsrecorder.formats.lines import Lines


def entry(*messages: dict[str, Any], url: str = "wss://feed.example/a", **others: Any) -> dict[str, Any]:
    # As DevTools have it: in the order of their names, so the messages come before the URL.
    return {
        "_initiator": {"type": "script", "stack": {"callFrames": []}},
        "_resourceType": "websocket",
        "_webSocketMessages": list(messages),
        "request": {"method": "GET", "url": url, "headers": [{"name": "a", "value": "}]"}]},
        "response": {"status": 101, "content": {"size": 0, "mimeType": "x-unknown"}},
        "startedDateTime": "2026-11-24T06:00:00.000Z",
        **others,
    }


PAGE = {
    "request": {"url": "https://feed.example/", "method": "GET"},
    "response": {"content": {"text": 'a "[{' + "x" * 3_000_000 + '"}]', "mimeType": "text/html"}},
    "startedDateTime": "2026-11-24T05:59:59.000Z",
}


def har(*entries: dict[str, Any], **log: Any) -> bytes:
    return json.dumps(
        {"log": {"version": "1.2", "creator": {"name": "x", "version": "1"}, "entries": entries, **log}}
    ).encode()


def message(time: float, data: str = "x", type: str = "receive", opcode: int = 1) -> dict[str, Any]:
    return {"type": type, "time": time, "opcode": opcode, "data": data}


BEGAN_S = 1_795_500_000


def test_messages_of_devtools_become_events() -> None:
    events, reader = read(
        har(
            PAGE,
            entry(
                message(BEGAN_S + 1.25, '{"sub": 1}', "send"),
                message(BEGAN_S + 2.5, '{"type": "T", "ts": 1}'),
                message(BEGAN_S + 3, base64.b64encode(b"\x00\xff").decode(), opcode=2),
            ),
        ),
        HarReader,
    )
    began_ns = BEGAN_S * 10**9
    cause = "a HAR does not hold when and why a connection ended"
    assert events == [
        Event(0, Kind.OPEN, 0, Direction.IN, 0, began_ns, detail='{"url": "wss://feed.example/a"}'),
        Event(1, Kind.MESSAGE, 0, Direction.OUT, 1_250_000_000, began_ns + 1_250_000_000, text='{"sub": 1}'),
        Event(2, Kind.MESSAGE, 0, Direction.IN, 2_500_000_000, began_ns + 2_500_000_000, "T", 1_000,
              '{"type": "T", "ts": 1}'),
        Event(3, Kind.MESSAGE, 0, Direction.IN, 3_000_000_000, began_ns + 3_000_000_000, binary=b"\x00\xff"),
        Event(4, Kind.CLOSE, 0, Direction.IN, 3_000_000_000, began_ns + 3_000_000_000,
              detail=json.dumps({"code": 1006, "reason": "", "cause": cause})),
    ]  # fmt: skip
    assert reader.feed == "wss://feed.example/a"
    assert reader.notes == []


@pytest.mark.parametrize(
    ("written", "time_ns"),
    [
        ("1795500000.123456789", 1795500000_123456789),
        ("1795500000.1234567891", 1795500000_123456789),
        ("1795500000", 1795500000_000000000),
        ("1795500000123.4567", 1795500000_123456700),
        ("1.7955e9", 1795500000_000000000),
    ],
)
def test_times_are_seconds_or_milliseconds_and_exact(written: str, time_ns: int) -> None:
    content = har(entry(message(123.5), startedDateTime="")).replace(b"123.5", written.encode())
    assert read(content, HarReader)[0][1].received_ns == time_ns


@pytest.mark.parametrize("written", ['"then"', "null", "1e99999999", "9223372037", "{}", "-1"])
def test_a_time_that_is_none_is_an_error_with_its_place(written: str) -> None:
    content = har(entry(message(123.5), startedDateTime="")).replace(b"123.5", written.encode())
    with pytest.raises(SessionError, match=r"file, byte \d+: "):
        read(content, HarReader)


def test_messages_without_times_are_placed_with_what_is_before_them() -> None:
    events, reader = read(har(entry(message(-1, "a"), message(-1, "b"))), HarReader)
    assert {event.received_ns for event in events} == {BEGAN_S * 10**9}
    assert reader.notes == ["2 messages have no time: they are placed with what is before them"]


def test_connections_run_side_by_side_in_the_order_of_their_times() -> None:
    first = entry(message(BEGAN_S + 1, "a"), message(BEGAN_S + 3, "c"))
    second = entry(message(BEGAN_S + 2, "b"), message(BEGAN_S + 4, "d"), url="wss://other.example/")
    events, _ = read(har(first, PAGE, second), HarReader)
    assert [(event.conn, event.text) for event in events if event.kind is Kind.MESSAGE] == [
        (0, "a"), (1, "b"), (0, "c"), (1, "d"),
    ]  # fmt: skip
    assert [(event.conn, event.kind.value) for event in events if event.kind is not Kind.MESSAGE] == [
        (0, "open"), (1, "open"), (0, "close"), (1, "close"),
    ]  # fmt: skip


def test_times_out_of_order_keep_the_order_of_the_file() -> None:
    events, reader = read(har(entry(message(BEGAN_S + 5, "a"), message(BEGAN_S + 4, "b"))), HarReader)
    assert [event.text for event in events[1:3]] == ["a", "b"]
    assert "1 events are earlier" in reader.notes[0]


def test_other_opcodes_and_errors_are_left_out_and_counted() -> None:
    events, reader = read(
        har(entry(message(BEGAN_S, "x"), message(BEGAN_S, "", opcode=9), message(BEGAN_S, "gone", "error", -1))),
        HarReader,
    )
    assert [event.text for event in events if event.kind is Kind.MESSAGE] == ["x"]
    assert reader.notes == ["1 messages with opcode 9 were left out", "1 messages of type error were left out"]


def test_objects_within_messages_and_strange_spaces_are_read() -> None:
    odd = message(BEGAN_S, "x") | {"initiator": {"a": [{}]}}
    content = har(entry(message(BEGAN_S, "w"), odd, message(BEGAN_S, "y"))).replace(b", {", b" \n,\t{")
    assert [event.text for event in read(content, HarReader)[0] if event.text] == ["w", "x", "y"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "byte 0: the file is empty"),
        (b"[]", 'byte 0: no HAR: expected a JSON object with the member "log"'),
        (b'{"a": [1, 2]}', "no HAR: expected an object"),
        (b'{"seq":0,"kind":"open"}\n{"seq":1}', "no HAR: expected an object"),
        ("{}".encode("utf-16"), "the file is UTF-16, expected UTF-8"),
        (har(), "holds no WebSocket: none of its 0 entries"),
        (har(PAGE), "holds no WebSocket: none of its 1 entries"),
        (har(entry(message(1)))[:-40], "the file ends in the middle"),
        (har(entry(message(1)))[:250], "the file ends in the middle"),
        (har(entry(message(1))).replace(b'"type": "receive"', b'"type": 7'), "Expected `str`, got `int`"),
        (har(entry(message(1))).replace(b'"data": "x"', b'"data": "\xff"'), "invalid start byte"),
        (har(entry(message(1, "%", opcode=2))), "is not base64"),
        (har(entry({"type": "receive"})), "missing required field"),
        (har(entry()).replace(b'Messages": []', b'Messages": [7]'), "expected an object, found '7'"),
        (har(entry(message(BEGAN_S)), _wsrecMarks=[{"kind": "note", "conn": 7, "time": 1, "detail": "{}"}]), "no mark"),
        (har(entry(message(BEGAN_S)), _wsrecMarks=[{"kind": "note", "conn": 0, "time": 1, "detail": "{"}]), "no mark"),
        (
            har({**entry(), "_webSocketMessages": None, "response": {"content": {"_file": "0123.jsonl"}}}),
            "in files beside it",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said(content: bytes, problem: str) -> None:
    with pytest.raises(SessionError) as caught:
        read(content, HarReader)
    assert problem in caught.value.message
    assert caught.value.message.startswith("file")


def test_the_place_of_an_error_is_that_of_its_message() -> None:
    content = har(entry(*(message(BEGAN_S, f"{number}") for number in range(1_000)), {"type": "receive", "time": 1}))
    with pytest.raises(SessionError) as caught:
        read(content, HarReader)
    place = content.index(b'{"type": "receive", "time": 1}')
    assert f"byte {place:,}: " in caught.value.message


def test_a_pipe_is_read_as_a_file() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise OSError("a pipe")

    reader = HarReader(Lines(Pipe(har(entry(message(BEGAN_S)))), "pipe"))
    assert sum(len(batch) for batch in reader.batches()) == 3


def test_credentials_are_taken_out_of_the_url() -> None:
    content = har(entry(message(BEGAN_S), url="wss://a.example/?token=secret"))
    reader = HarReader(Lines(io.BytesIO(content), "x"), None, lambda url: url.replace("secret", "***"))
    events = [event for batch in reader.batches() for event in batch]
    assert "secret" not in reader.feed + str(events[0].detail)


@given(any_traffic(TEXT_FRAMES, BINARY_FRAMES), st.integers(1, 5))
def test_whatever_was_said_survives_the_round_trip(events: list[Event], rows: int) -> None:
    content, notes = written(events, write_har, rows)
    assert read(content, HarReader)[0] == events
    assert len(notes) == 1


@given(any_traffic(TEXT_FRAMES, BROKEN_FRAMES))
def test_text_that_is_not_utf8_keeps_its_bytes_and_that_is_said(events: list[Event]) -> None:
    content, notes = written(events, write_har)
    again = read(content, HarReader)[0]
    assert [event.payload for event in again] == [event.payload for event in events]
    broken = sum(event.binary is not None for event in events)
    assert [note for note in notes if "not UTF-8" in note] == (
        [f"{broken:,} text frames that are not UTF-8 were written as binary ones"] if broken else []
    )


def later(event: Event, by_ns: int, conn: int) -> Event:
    return msgspec.structs.replace(
        event, conn=conn, elapsed_ns=event.elapsed_ns + by_ns, received_ns=event.received_ns + by_ns
    )


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_connections_that_overlap_are_entries_of_their_own_and_come_back(rows: int) -> None:
    one = traffic([(Direction.IN, 10, ("a", None, None)), (Direction.OUT, 20, ("b", None, None))])
    two = [later(event, 5, conn=1) for event in one]
    gap = Event(0, Kind.GAP, 1, Direction.IN, 90, STARTED_NS + 90, detail='{"cause": "pause"}')
    merged = sorted([*one, *two, gap], key=lambda event: event.elapsed_ns)
    events = [msgspec.structs.replace(event, seq=seq) for seq, event in enumerate(merged)]
    content, _ = written(events, write_har, rows)
    entries = json.loads(content)["log"]["entries"]
    assert [[found["data"] for found in entry["_webSocketMessages"]] for entry in entries] == [["a", "b"], ["a", "b"]]
    assert read(content, HarReader)[0] == events


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_what_waits_for_its_entry_is_kept_apart_by_connection(rows: int) -> None:
    def frame(conn: int, elapsed_ns: int, text: str) -> Event:
        return Event(0, Kind.MESSAGE, conn, Direction.IN, elapsed_ns, STARTED_NS + elapsed_ns, text=text)

    end = Event(0, Kind.CLOSE, 0, Direction.IN, 5, STARTED_NS + 5, detail="{}")
    events = [
        frame(0, 0, "a"), frame(1, 1, "bb"), frame(2, 2, "ccc"), frame(1, 3, "dddd"), end,
        frame(2, 6, "eeeee"), frame(1, 7, "ffffff"), frame(2, 8, "ggggggg"),
    ]  # fmt: skip
    events = [msgspec.structs.replace(event, seq=seq) for seq, event in enumerate(events)]
    content, _ = written(events, write_har, rows)
    assert read(content, HarReader)[0] == events


def test_the_file_is_a_whole_har() -> None:
    content, _ = written(traffic([(Direction.IN, 10, ("a", None, None))]), write_har)
    assert is_har(content[:4_096])
    log = json.loads(content)["log"]
    assert log.keys() >= {"version", "creator", "entries"}
    entry = log["entries"][0]
    assert entry.keys() >= {"startedDateTime", "time", "request", "response", "cache", "timings"}
    assert entry["request"].keys() >= {
        "method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize",
    }  # fmt: skip
    assert entry["response"].keys() >= {
        "status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL", "headersSize",
    }  # fmt: skip
    assert entry["request"]["url"] == FEED
    assert entry["timings"].keys() == {"send", "wait", "receive"}


def test_a_session_without_events_is_a_har_without_entries() -> None:
    assert json.loads(written([], write_har)[0])["log"]["entries"] == []


def test_values_longer_than_a_chunk_are_read_and_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_scan, "_CHUNK_BYTES", 7)
    long = entry(message(BEGAN_S, 'a\\"' * 500), message(BEGAN_S + 1, "b"))
    numbers = {"numbers": list(range(500)), "response": {"content": {"text": "\\\\" * 333 + '"'}}}
    events, _ = read(har(numbers, long, comment="c" * 100), HarReader)
    assert [event.text for event in events if event.text] == ['a\\"' * 500, "b"]


def test_a_value_over_the_limit_is_an_error() -> None:
    scanner = json_scan.JsonScanner(io.BytesIO(b'["' + b"x" * 3_000_000 + b'"]'), "file")
    for _ in scanner.items():
        with pytest.raises(SessionError, match="byte 1: a value of more than 1,000 bytes"):
            scanner.value(1_000)
        break
