"""A reader beside a stream of frames finds every message, however the stream is cut."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from wsrecorder.net.frame_reader import FrameReader
from wsrecorder.net.inflater import Inflater

LIMIT = 300


class Sink:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []

    def on_message(self, payload: bytes, opcode: int) -> None:
        self.told.append((Opcode(opcode).name, payload))

    def on_dropped(self, size_bytes: int, cause: str) -> None:
        self.told.append(("dropped", size_bytes))

    def on_close(self, code: int, reason: str) -> None:
        self.told.append(("close", (code, reason)))


def read(pieces: list[bytes], inflater: Inflater | None = None) -> list[tuple[str, object]]:
    sink = Sink()
    reader = FrameReader(sink, max_bytes=LIMIT, inflater=inflater)
    for piece in pieces:
        reader.feed(piece)
    assert not reader.unfinished_bytes
    return sink.told


messages = st.tuples(
    st.sampled_from([Opcode.TEXT, Opcode.BINARY]),
    st.lists(st.one_of(st.binary(max_size=5), st.binary(min_size=120, max_size=400)), min_size=1, max_size=3),
    st.booleans(),
)


def wire_and_told(found: list[tuple[Opcode, list[bytes], bool]]) -> tuple[bytes, list[tuple[str, object]]]:
    wire, told = b"", []
    for opcode, parts, is_masked in found:
        for index, part in enumerate(parts):
            kind = opcode if index == 0 else Opcode.CONT
            wire += Frame(kind, part, fin=index == len(parts) - 1).serialize(mask=is_masked)
            wire += Frame(Opcode.PING, b"between").serialize(mask=is_masked)
        size = sum(map(len, parts))
        told.append((opcode.name, b"".join(parts)) if size <= LIMIT else ("dropped", size))
    return wire, told


@given(st.lists(messages, max_size=6), st.data())
def test_messages_are_the_same_however_the_stream_is_cut(
    found: list[tuple[Opcode, list[bytes], bool]], data: st.DataObject
) -> None:
    wire, expected = wire_and_told(found)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    pieces = [wire[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert read(pieces) == expected


@given(st.lists(messages, max_size=4))
def test_messages_are_the_same_byte_by_byte(found: list[tuple[Opcode, list[bytes], bool]]) -> None:
    wire, expected = wire_and_told(found)
    assert read([wire[index : index + 1] for index in range(len(wire))]) == expected


@given(st.lists(messages, min_size=1, max_size=4), st.data())
def test_the_bytes_of_an_unfinished_frame_are_counted(
    found: list[tuple[Opcode, list[bytes], bool]], data: st.DataObject
) -> None:
    wire, _ = wire_and_told(found)
    cut = data.draw(st.integers(0, len(wire)))
    whole = read_whole(wire[:cut])
    reader = FrameReader(Sink(), max_bytes=LIMIT)
    reader.feed(wire[:cut])
    assert reader.unfinished_bytes == cut - whole


def read_whole(wire: bytes) -> int:
    """Return how many bytes of whole frames there are, found the slow way."""
    position = 0
    while len(wire) - position >= 2:
        second = wire[position + 1]
        length, header = second & 0x7F, 2
        if length >= 126:
            header += 2 if length == 126 else 8
            length = int.from_bytes(wire[position + 2 : position + header], "big")
        header += 4 if second & 0x80 else 0
        if position + header + length > len(wire):
            break
        position += header + length
    return position


@pytest.mark.parametrize(
    ("payload", "expected"), [(b"", (1005, "")), (b"\x03\xe8", (1000, "")), (b"\x0f\xa0why", (4000, "why"))]
)
def test_a_close_frame_is_read(payload: bytes, expected: tuple[int, str]) -> None:
    assert read([Frame(Opcode.CLOSE, payload).serialize(mask=True)]) == [("close", expected)]


def test_control_frames_are_read_under_the_smallest_limit() -> None:
    sink = Sink()
    FrameReader(sink, max_bytes=1).feed(Frame(Opcode.CLOSE, b"\x03\xe8" + b"x" * 100).serialize(mask=False))
    assert sink.told == [("close", (1000, "x" * 100))]


def deflated(compressor: object, payload: bytes) -> bytes:
    found: bytes = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)  # type: ignore[attr-defined]
    return compressed(found.removesuffix(b"\x00\x00\xff\xff"))


def compressed(payload: bytes) -> bytes:
    return bytes((0xC1, len(payload))) + payload


@pytest.mark.parametrize("keeps_context", [True, False])
def test_compressed_messages_are_inflated(keeps_context: bool) -> None:
    compressor = zlib.compressobj(wbits=-15)
    wire = []
    for number in range(5):
        if not keeps_context:
            compressor = zlib.compressobj(wbits=-15)
        wire.append(deflated(compressor, b"again and again %d" % number))
    told = read(wire, Inflater(keeps_context=keeps_context, max_bytes=LIMIT))
    assert told == [("TEXT", b"again and again %d" % number) for number in range(5)]


@pytest.mark.parametrize("keeps_context", [True, False])
def test_after_a_message_that_cannot_be_inflated_only_those_that_stand_alone_are_known(keeps_context: bool) -> None:
    good = deflated(zlib.compressobj(wbits=-15), b"good")
    bad = compressed(b"\xff\xff\xff")
    plain = Frame(Opcode.TEXT, b"plain").serialize(mask=False)
    told = [kind for kind, _ in read([good, bad, good, plain], Inflater(keeps_context=keeps_context, max_bytes=LIMIT))]
    assert told == ["TEXT", "dropped", "dropped" if keeps_context else "TEXT", "TEXT"]


@pytest.mark.parametrize(
    ("wire", "told"),
    [
        (b"\x80\x01x", [("dropped", 1)]),
        (b"\x00\x01x\x80\x01x", [("dropped", 1), ("dropped", 1)]),
        (b"\x83\x02xy", [("dropped", 2)]),
        (b"\x01\x01x\x02\x01y\x80\x01z", [("dropped", 1), ("BINARY", b"yz")]),
        (b"\x01\x01x\x80\x01y\x80\x01z", [("TEXT", b"xy"), ("dropped", 1)]),
    ],
    ids=["continuation", "continuations", "reserved", "begun-in-another", "continued-after-its-end"],
)
def test_what_is_no_message_is_told_as_dropped(wire: bytes, told: list[tuple[str, object]]) -> None:
    assert read([wire]) == told


def test_a_bomb_is_not_inflated_to_its_end_even_where_others_refer_to_it() -> None:
    compressor = zlib.compressobj(wbits=-15)
    bomb = compressor.compress(bytes(100 << 20)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    inflater = Inflater(keeps_context=True, max_bytes=LIMIT)
    with pytest.raises(OverflowError):
        inflater.inflate(bomb[:-4])
    assert not inflater.discard()
