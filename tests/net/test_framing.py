"""What we put on the wire is read back by websockets' own parser."""

from __future__ import annotations

from collections.abc import Generator
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame
from websockets.frames import Opcode as WireOpcode
from websockets.streams import StreamReader

from wsrecorder.core.event import Opcode
from wsrecorder.net.framing import Frames, frame_columns, frame_each, frame_one

Message = tuple[Opcode, bytes]

EDGES = [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 200_000]


def parse(wire: bytes | memoryview, window_bits: int | None = None) -> list[Message]:
    """Read server frames back, as a client would that negotiated ``window_bits``."""
    extensions = [] if window_bits is None else [PerMessageDeflate(True, False, window_bits, 15)]
    reader = StreamReader()
    reader.feed_data(bytes(wire))
    messages = []
    while reader.buffer:
        parser: Generator[None, None, Frame] = Frame.parse(reader.read_exact, mask=False, extensions=extensions)
        with pytest.raises(StopIteration) as parsed:
            next(parser)
        frame = parsed.value.value
        assert frame.fin
        messages.append((Opcode(frame.opcode), bytes(frame.data)))
    return messages


def columns(messages: list[Message]) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Lay messages out as the store does: text that is not UTF-8 stands in ``binary``."""
    text: list[str | None] = []
    binary: list[bytes | None] = []
    for opcode, payload in messages:
        try:
            decoded = payload.decode() if opcode is Opcode.TEXT else None
        except UnicodeDecodeError:
            decoded = None
        text.append(decoded)
        binary.append(payload if decoded is None else None)
    is_text = [opcode is Opcode.TEXT for opcode, _ in messages]
    return pa.array(text, pa.string()), pa.array(binary, pa.binary()), pa.array(is_text, pa.bool_())


def framed(messages: list[Message]) -> Frames:
    return frame_columns(*columns(messages))


payloads = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=100).map(str.encode),
    st.builds(lambda size, seed: bytes([seed]) * size, st.sampled_from(EDGES), st.integers(0, 255)),
)
some_messages = st.lists(st.tuples(st.sampled_from(list(Opcode)), payloads), max_size=12)


@given(some_messages)
def test_any_payload_reaches_the_parser_byte_for_byte(messages: list[Message]) -> None:
    frames = framed(messages)
    assert len(frames) == len(messages)
    assert parse(frames.wire(0, len(frames))) == messages


@given(some_messages, st.data())
def test_any_range_of_rows_is_sent_alone(messages: list[Message], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(messages)))
    stop = data.draw(st.integers(start, len(messages)))
    frames = framed(messages)
    assert parse(frames.wire(start, stop)) == messages[start:stop]
    assert frames.size_bytes(start, stop) == len(frames.wire(start, stop))


@given(some_messages)
def test_frames_made_one_by_one_are_the_same(messages: list[Message]) -> None:
    payloads = [payload for _, payload in messages]
    each = frame_each([*payloads, None], [*(opcode is Opcode.TEXT for opcode, _ in messages), False])
    assert bytes(each.wire(0, len(messages) + 1)) == bytes(framed(messages).wire(0, len(messages)))
    assert len(each.wire(len(messages), len(messages) + 1)) == 0


@given(some_messages, st.integers(9, 15), st.data())
def test_compressed_frames_carry_the_same_messages(messages: list[Message], bits: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(messages)))
    stop = data.draw(st.integers(start, len(messages)))
    assert parse(framed(messages).wire(start, stop, bits), bits) == messages[start:stop]


@pytest.mark.parametrize("opcode", list(Opcode))
@pytest.mark.parametrize("size", EDGES)
def test_every_size_of_header_is_right(opcode: Opcode, size: int) -> None:
    payload = b"a" * size
    assert parse(frame_one(payload, opcode)) == [(opcode, payload)]
    assert bytes(framed([(opcode, payload)]).wire(0, 1)) == frame_one(payload, opcode)


def test_a_text_frame_that_is_not_utf8_goes_out_as_text() -> None:
    messages = [(Opcode.TEXT, b"\xff{"), (Opcode.TEXT, b"{}"), (Opcode.BINARY, b"\xff")]
    assert parse(framed(messages).wire(0, 3)) == messages


def test_a_part_of_a_column_is_framed_by_its_own_rows() -> None:
    messages = [(Opcode.TEXT, b"%d" % n) for n in range(5)] + [(Opcode.BINARY, b"\x00" * 70_000)]
    text, binary, is_text = columns(messages)
    frames = frame_columns(text.slice(2), binary.slice(2), is_text.slice(2))
    assert parse(frames.wire(0, 4)) == messages[2:]


def test_a_row_without_payload_sends_nothing() -> None:
    is_text = pa.array([False, True, False])
    frames = frame_columns(pa.array([None, "x", None]), pa.array([None] * 3, pa.binary()), is_text)
    assert parse(frames.wire(0, 3)) == [(Opcode.TEXT, b"x")]
    assert parse(frames.wire(0, 3, 12), 12) == [(Opcode.TEXT, b"x")]
    assert len(frames.wire(2, 3)) == 0
    nothing = frame_columns(pa.array([None], pa.string()), pa.array([None], pa.binary()), pa.array([False]))
    assert len(nothing.wire(0, 1)) == 0


def test_an_empty_batch_has_no_frames() -> None:
    frames = framed([])
    assert len(frames) == 0
    assert bytes(frames.wire(0, 0)) == b""
    assert list(frames.slices(0, 0, 100)) == []


def test_plain_frames_are_slices_of_one_buffer() -> None:
    frames = framed([(Opcode.TEXT, b"a"), (Opcode.TEXT, b"b")])
    whole, part = frames.wire(0, 2), frames.wire(1, 2)
    assert isinstance(whole, memoryview)
    assert isinstance(part, memoryview)
    assert whole.obj is part.obj


def test_clients_that_ask_for_the_same_rows_share_what_was_compressed() -> None:
    frames = framed([(Opcode.TEXT, b"a" * 100), (Opcode.TEXT, b"b" * 100)])
    first = frames.wire(0, 2, 12)
    assert frames.wire(0, 2, 12) is first
    assert frames.wire(0, 2, 15) is not first
    assert parse(frames.wire(1, 2, 12), 12) == [(Opcode.TEXT, b"b" * 100)]
    assert parse(frames.wire(1, 1, 12), 12) == []  # begins as the one before, ends elsewhere
    assert len(first) < frames.size_bytes(0, 2)


def test_compression_is_the_same_as_by_websockets() -> None:
    payload = b'{"type": "HEARTBEAT", "ts": 1700000000000, "data": {"type": "HEARTBEAT"}}'
    theirs = PerMessageDeflate(False, True, 15, 12, {"memLevel": 5}).encode(Frame(WireOpcode.TEXT, payload))
    wire = bytes(framed([(Opcode.TEXT, payload)]).wire(0, 1, 12))
    assert wire[0] == 0b1100_0001  # fin, compressed, text
    assert wire[2:] == bytes(theirs.data)  # and with no trace of the flush at the end


def test_what_compression_would_lengthen_is_sent_plain() -> None:
    frames = framed([(Opcode.TEXT, b"{}"), (Opcode.TEXT, b"")])
    assert frames.wire(0, 2, 15) == bytes(frames.wire(0, 2))


@given(st.lists(st.integers(0, 300), max_size=30), st.integers(1, 700))
def test_slices_cover_the_rows_in_order_within_the_limit(sizes: list[int], limit_bytes: int) -> None:
    frames = framed([(Opcode.BINARY, b"x" * size) for size in sizes])
    slices = list(frames.slices(0, len(sizes), limit_bytes))
    assert [row for start, stop in slices for row in range(start, stop)] == list(range(len(sizes)))
    for start, stop in slices:
        assert stop - start == 1 or frames.size_bytes(start, stop) <= limit_bytes
    for (start, _), (_, stop) in pairwise(slices):
        assert frames.size_bytes(start, stop) > limit_bytes  # none is shorter than it must be


@given(st.lists(st.tuples(st.sampled_from(Opcode), st.sampled_from(EDGES)), max_size=5))
def test_payloads_can_be_taken_out_again(rows: list[tuple[Opcode, int]]) -> None:
    messages = [(opcode, b"x" * size) for opcode, size in rows]
    frames = framed(messages)
    assert [frames.payload(row) for row in range(len(rows))] == [
        (payload, opcode is Opcode.TEXT) for opcode, payload in messages
    ]


def test_a_row_that_sends_nothing_has_no_payload() -> None:
    assert frame_each([None, b""], [True, True]).payload(0) is None
    assert frame_each([None, b""], [True, True]).payload(1) == (b"", True)
