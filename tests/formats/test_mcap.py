from __future__ import annotations

import io
import json
import sys
from collections import Counter
from contextlib import suppress
from itertools import islice
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer

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
from wsrecorder.core.dialect import Dialect
from wsrecorder.core.engine import Engine
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.core.messages import DATA_TYPES
from wsrecorder.errors import SessionError, UsageError
from wsrecorder.formats.lines import Lines
from wsrecorder.formats.mcap import McapReader, is_mcap
from wsrecorder.formats.mcap_export import write_mcap
from wsrecorder.formats.mcap_schemas import envelope_schema

TEXT = '{"type": "A", "ts": 1795500000000}'
EVENTS = traffic(
    [
        (Direction.OUT, 7, ('{"subscribe": 1}', None, None)),
        (Direction.IN, 10, (TEXT, None, None)),
        (Direction.IN, 10, (None, b"\x00\xff", None)),
        (Direction.IN, 10, ("", None, None)),
    ]
)


def engine_traffic(count: int) -> list[Event]:
    pushed = islice(Engine(7).stream(STARTED_NS // 1_000_000, 1_000.0), count)
    return traffic((Direction.IN, 1_000, (one.payload, None, None)) for one in pushed)


ODD_FRAMES = st.sampled_from(
    [
        (text, None, None)
        for text in ('{"type": "", "ts": -5}', '{"type": "(untyped)", "ts": 253402300799999}', '{"ts": 9223372036854}')
    ]
)


@given(any_traffic(TEXT_FRAMES, BINARY_FRAMES, BROKEN_FRAMES, ODD_FRAMES), st.integers(1, 5))
def test_whatever_was_said_survives_the_round_trip(events: list[Event], rows: int) -> None:
    content, notes = written(events, write_mcap, rows)
    again, reader = read(content, McapReader)
    assert again == events
    assert reader.notes == []
    is_odd = any(event.sent_at_us is not None and not 0 <= event.sent_at_us < 2**63 // 1_000 for event in events)
    assert notes == (["time stamps of senders before 1970 or after 2262 were left out"] if is_odd else [])
    assert reader.feed == FEED


def test_the_reader_of_the_package_finds_topics_times_and_metadata() -> None:
    content, _ = written(EVENTS, write_mcap)
    assert is_mcap(content)
    found = list(make_reader(io.BytesIO(content), validate_crcs=True).iter_messages(log_time_order=False))
    assert [channel.topic for _, channel, _ in found] == [
        "(open)",
        "(untyped)",
        "A",
        "(binary)",
        "(untyped)",
        "(close)",
    ]
    assert [channel.message_encoding for _, channel, _ in found] == ["json", "", "json", "", "", "json"]
    assert [message.log_time for *_, message in found] == [event.received_ns for event in EVENTS]
    assert [message.sequence for *_, message in found] == [event.seq for event in EVENTS]
    assert [message.data for *_, message in found][1:5] == [event.payload for event in EVENTS[1:5]]
    assert found[2][2].publish_time == 1_795_500_000_000 * 1_000_000
    assert found[1][2].publish_time == found[1][2].log_time
    assert found[1][1].metadata["direction"] == "out"
    reader = make_reader(io.BytesIO(content))
    summary = reader.get_summary()
    assert summary is not None
    assert summary.statistics is not None
    assert summary.statistics.message_count == len(EVENTS)
    assert {chunk.compression for chunk in summary.chunk_indexes} == {"zstd"}
    metadata = {record.name: record.metadata for record in reader.iter_metadata()}
    assert json.loads(metadata["wsrec"]["wsrec.session"])["feed"] == FEED


def test_messages_of_the_engine_satisfy_the_schemas_they_come_with() -> None:
    content, _ = written(engine_traffic(3_000), write_mcap, 500)
    checked: Counter[str] = Counter()
    validators: dict[int, Any] = {}
    for schema, channel, message in make_reader(io.BytesIO(content)).iter_messages():
        if channel.topic in DATA_TYPES:
            assert schema is not None
            assert (schema.name, schema.encoding) == (channel.topic, "jsonschema")
            if schema.id not in validators:
                validators[schema.id] = jsonschema_rs.validator_for(json.loads(schema.data))
            validators[schema.id].validate(json.loads(message.data))
            checked[channel.topic] += 1
    assert len(checked) > 8


@pytest.mark.parametrize("type_", DATA_TYPES)
def test_every_schema_is_one_and_refuses_what_lacks_its_data(type_: str) -> None:
    schema = json.loads(envelope_schema(type_) or b"")
    jsonschema_rs.meta.validate(schema)
    validator = jsonschema_rs.validator_for(schema)
    assert not validator.is_valid({"type": type_, "ts": 1})
    assert not validator.is_valid({"type": type_, "ts": 1, "data": 7})
    assert not validator.is_valid({"type": "OTHER", "ts": 1, "data": {}})


def test_a_type_that_is_not_documented_has_no_schema() -> None:
    assert envelope_schema("A") is None


def foreign(compression: CompressionType = CompressionType.ZSTD, **options: Any) -> bytes:
    out = io.BytesIO()
    writer = Writer(out, compression=compression, **options)
    writer.start(profile="ros2", library="another")
    schema = writer.register_schema("Pose", "jsonschema", b'{"type":"object"}')
    pose = writer.register_channel("/pose", "json", schema)
    image = writer.register_channel("/image", "cdr", 0)
    writer.add_message(pose, 10**18, b'{"x": 1}', 10**18 - 5_000)
    writer.add_message(image, 10**18 + 7, b'{"x"', 10**18 + 7)
    writer.add_message(pose, 10**18 + 3, b"\xff", 10**18 + 3)
    writer.add_attachment(1, 1, "a.txt", "text/plain", b"x")
    writer.finish()
    return out.getvalue()


@pytest.mark.parametrize("compression", CompressionType)
@pytest.mark.parametrize("chunked", [True, False])
def test_files_of_other_tools_are_read(compression: CompressionType, chunked: bool) -> None:
    events, reader = read(foreign(compression, use_chunking=chunked), McapReader)
    base = 10**18
    assert events == [
        Event(0, Kind.MESSAGE, 0, Direction.IN, 0, base, "/pose", (base - 5_000) // 1_000, text='{"x": 1}'),
        Event(1, Kind.MESSAGE, 0, Direction.IN, 7, base + 7, "/image", binary=b'{"x"'),
        Event(2, Kind.MESSAGE, 0, Direction.IN, 7, base + 3, "/pose", binary=b"\xff"),
    ]
    assert reader.notes == [
        "1 messages that claim to be JSON are not UTF-8: they are binary now",
        "1 events are earlier than the one before them; the order of the file was kept",
    ]


def test_a_dialect_reads_types_and_times_anew() -> None:
    content, _ = written(EVENTS, write_mcap)
    reader = McapReader(Lines(io.BytesIO(content), "x"), Dialect(type_path="subscribe"))
    events = [event for batch in reader.batches() for event in batch]
    assert [event.type for event in events] == [None, "1", None, None, None, None]


def test_more_channels_than_there_can_be_are_folded_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsrecorder.formats.mcap_export._MOST_CHANNELS", 2)
    content, notes = written(EVENTS, write_mcap)
    again, _ = read(content, McapReader)
    assert [event.payload for event in again] == [event.payload for event in EVENTS]
    assert [event.type for event in again] == [event.type for event in EVENTS]
    assert notes == ["connection and type of 4 events were left out: MCAP numbers 65,535 channels at most"]


@pytest.mark.parametrize("size_bytes", [1, 7, 8, 12, 60, 500, -1, -9, -40])
def test_a_file_that_is_cut_off_is_an_error_with_its_place(size_bytes: int) -> None:
    content, _ = written(EVENTS, write_mcap)
    with pytest.raises(SessionError, match=r"^file, up to byte [\d,]+: "):
        read(content[:size_bytes], McapReader)


@given(st.data())
def test_a_flipped_bit_is_an_error_or_no_matter_but_never_a_crash(data: st.DataObject) -> None:
    content = bytearray(CONTENT)
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(SessionError):
        read(bytes(content), McapReader)


CONTENT = written(EVENTS, write_mcap)[0]


def test_a_changed_byte_in_a_chunk_is_an_error() -> None:
    content = foreign(CompressionType.NONE)
    assert content.count(b'{"x": 1}') == 1
    with pytest.raises(SessionError, match="crc validation failed in Chunk"):
        read(content.replace(b'{"x": 1}', b'{"x": 2}'), McapReader)


def test_a_record_that_goes_on_behind_its_chunk_is_an_error() -> None:
    content = foreign(CompressionType.NONE, enable_crcs=False)
    message = b"\x05" + (22 + 1).to_bytes(8, "little")  # the last of the chunk
    assert content.count(message) == 1
    with pytest.raises(SessionError, match="goes on behind its chunk"):
        read(content.replace(message, b"\x05" + (22 + 9).to_bytes(8, "little")), McapReader)


def with_metadata(**metadata: str) -> bytes:
    out = io.BytesIO()
    writer = Writer(out)
    writer.start()
    given = {"kind": "message", "direction": "in", "conn": "0", "form": "text", "typed": "no", "sent": "no"}
    channel = writer.register_channel("x", "json", 0, given | metadata)
    writer.add_message(channel, int(metadata.get("log_time", "5")), b"x", 5)
    writer.finish()
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b'{"log": {}}', "no MCAP file"),
        (with_metadata(kind="shout"), "'shout' is not a valid Kind"),
        (with_metadata(direction="up"), "'up' is not a valid Direction"),
        (with_metadata(conn="-1"), "there is no connection -1"),
        (with_metadata(conn="a"), "invalid literal"),
        (with_metadata(kind="note"), "the detail of a mark is not JSON"),
        (with_metadata(log_time=str(2**63)), "is after the year 2262"),
    ],
)
def test_what_cannot_be_read_is_said(content: bytes, problem: str) -> None:
    with pytest.raises(SessionError) as caught:
        read(content, McapReader)
    assert problem in caught.value.message


def test_chunks_that_unpack_to_too_much_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsrecorder.formats.mcap._MOST_BYTES", 2_000)
    content, _ = written(traffic([(Direction.IN, 1, ("x" * 100_000, None, None))]), write_mcap)
    with pytest.raises(SessionError, match="more than 2,000"):
        read(content, McapReader)


@pytest.mark.parametrize("module", ["mcap.writer", "zstandard"])
def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError) as caught:
        written(EVENTS, write_mcap)
    assert caught.value.hint == "pip install 'wsrecorder[mcap]'"
