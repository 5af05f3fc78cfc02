"""Frames ready for the wire: a whole batch is framed at once, and sending is a slice.

A server's frame (RFC 6455, section 5.2) is a header of 2, 4 or 10 bytes and the payload as it is:
servers do not mask. The header depends on opcode and length alone, so those of all payloads
under 64 KiB stand in a table, and Arrow looks them up and joins them to the payloads: some 25 ns
a row, where building frames one by one in Python takes microseconds.

With permessage-deflate (RFC 7692) negotiated as ``server_no_context_takeover``, every message is
compressed on its own, so the bytes are the same for all clients that agreed on the same window:
they are compressed once and shared.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from wsrecorder.core.event import Opcode

__all__ = ["Frames", "frame_columns", "frame_each", "frame_one"]

_FIN = 0x80
_RSV1 = 0x40  # "this message is compressed" (RFC 7692, section 6)
_TABLED = 65_536  # lengths below have a header of 2 or 4 bytes, and an entry in the table
_EMPTY_BLOCK = b"\x00\x00\xff\xff"  # ends a sync flush; left out on the wire (RFC 7692, section 7.2.1)
_MEM_LEVEL = 5  # as websockets: a fresh compressor a message has to be cheap


class Frames:
    """The frames of consecutive rows, back to back in one buffer.

    Args:
        wire: All frames' bytes. Kept, not copied; must not change.
        offsets: Where each frame begins, and last where the last one ends; one more than there are rows.
    """

    __slots__ = ("_deflated", "_offsets", "_wire")

    def __init__(self, wire: memoryview, offsets: memoryview) -> None:
        self._wire = wire
        self._offsets = offsets
        # What was last compressed for a window: clients of one broadcast all ask for the same rows.
        self._deflated: dict[int, tuple[int, int, bytes]] = {}

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def size_bytes(self, start: int, stop: int) -> int:
        """Return how many bytes the rows ``[start, stop)`` take on the wire, uncompressed."""
        return int(self._offsets[stop] - self._offsets[start])

    def wire(self, start: int, stop: int, window_bits: int | None = None) -> memoryview | bytes:
        """Return the bytes that send the rows ``[start, stop)``.

        Args:
            start: First row.
            stop: First row after it that is not sent.
            window_bits: The window agreed on for permessage-deflate, 9 to 15; None sends plain frames.
        """
        if window_bits is None:
            return self._wire[self._offsets[start] : self._offsets[stop]]
        last = self._deflated.get(window_bits)
        if last is None or last[:2] != (start, stop):
            deflated = b"".join(self._deflate(row, window_bits) for row in range(start, stop))
            last = self._deflated[window_bits] = (start, stop, deflated)
        return last[2]

    def payload(self, row: int) -> tuple[bytes, bool] | None:
        """Return a row's payload, and whether it goes out as text; None if the row sends nothing."""
        plain = self._wire[self._offsets[row] : self._offsets[row + 1]]
        if not plain:
            return None
        return bytes(plain[_header_size(plain[1]) :]), plain[0] == _FIN | Opcode.TEXT

    def slices(self, start: int, stop: int, limit_bytes: int) -> Iterator[tuple[int, int]]:
        """Cut the rows ``[start, stop)`` into ranges of at most ``limit_bytes``, or one row if it is larger."""
        offsets = self._offsets
        while start < stop:
            after = max(start + 1, bisect_right(offsets, offsets[start] + limit_bytes, start, stop + 1) - 1)
            yield start, after
            start = after

    def _deflate(self, row: int, window_bits: int) -> bytes | memoryview:
        plain = self._wire[self._offsets[row] : self._offsets[row + 1]]
        if not plain:
            return plain
        payload = plain[_header_size(plain[1]) :]
        compressor = zlib.compressobj(wbits=-window_bits, memLevel=_MEM_LEVEL)
        deflated = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        deflated = deflated.removesuffix(_EMPTY_BLOCK)
        if len(deflated) >= len(payload):
            return plain  # each message may or may not be compressed (RFC 7692, section 6)
        return _header(plain[0] | _RSV1, len(deflated)) + deflated


def frame_one(payload: bytes, opcode: Opcode = Opcode.TEXT) -> bytes:
    """Return one frame."""
    return _header(_FIN | opcode, len(payload)) + payload


def frame_each(payloads: Sequence[bytes | None], is_text: Sequence[bool]) -> Frames:
    """Frame payloads one by one, for those that are made just before they go out.

    Args:
        payloads: One a row; a row without payload takes no bytes.
        is_text: Whether the frame goes out as text; one a row.
    """
    frames = [
        b"" if payload is None else frame_one(payload, Opcode.TEXT if as_text else Opcode.BINARY)
        for payload, as_text in zip(payloads, is_text, strict=True)
    ]
    offsets = array("q", accumulate(map(len, frames), initial=0))
    return Frames(memoryview(b"".join(frames)), memoryview(offsets))


def frame_columns(text: pa.Array, binary: pa.Array, is_text: pa.BooleanArray) -> Frames:
    """Frame the payloads of a batch, one row an event.

    Args:
        text: Payloads of text frames, null elsewhere; string.
        binary: Payloads of binary frames, and of text frames that are not UTF-8; null elsewhere.
        is_text: Whether the frame goes out as text; one a row.

    Returns:
        As many frames as rows. A row without payload takes no bytes: it sends nothing.
    """
    payloads = _payloads(text, binary)
    lengths = pc.binary_length(payloads)
    headers = _headers(lengths, is_text)
    # The join takes 64-bit offsets, as all else here: a batch may hold more than 2 GiB.
    joined = pc.binary_join_element_wise(headers, payloads, pa.scalar(b"", pa.large_binary()))
    _, offsets, wire = joined.buffers()
    if not len(joined):
        return Frames(memoryview(b""), memoryview(array("q", [0])))
    return Frames(
        memoryview(b"" if wire is None else wire).cast("B"),
        memoryview(offsets).cast("B").cast("q")[joined.offset : joined.offset + len(joined) + 1],
    )


def _payloads(text: pa.Array, binary: pa.Array) -> pa.Array:
    """Return all payloads as one column of large_binary; only a mixed batch costs a copy."""
    if binary.null_count == len(binary):
        return text.cast(pa.large_string()).cast(pa.large_binary())
    if text.null_count == len(text):
        return binary.cast(pa.large_binary())
    return pc.coalesce(text.cast(pa.large_string()).cast(pa.large_binary()), binary.cast(pa.large_binary()))


def _headers(lengths: pa.Array, is_text: pa.BooleanArray) -> pa.Array:
    longest = pc.max(lengths).as_py() or 0
    tabled = lengths if longest < _TABLED else pc.min_element_wise(lengths, _TABLED - 1)
    headers = _header_table().take(pc.if_else(is_text, tabled, pc.add(tabled, _TABLED)))
    if longest < _TABLED:
        return headers
    is_long = pc.fill_null(pc.greater_equal(lengths, _TABLED), False)
    long_headers = [
        _header(_FIN | (Opcode.TEXT if sent_as_text else Opcode.BINARY), length)
        for length, sent_as_text in zip(
            lengths.filter(is_long).to_pylist(), is_text.filter(is_long).to_pylist(), strict=True
        )
    ]
    return pc.replace_with_mask(headers, is_long, pa.array(long_headers, pa.large_binary()))


@cache
def _header_table() -> Any:
    """Return the headers of text frames of 0 to 65535 bytes, then those of binary frames.

    Built from machine words rather than one by one: in 5 ms, so that it does not delay the first frame.
    """
    wire = bytearray()
    offsets = array("q")
    for opcode in (Opcode.TEXT, Opcode.BINARY):
        first = _FIN | opcode
        offsets.extend(range(len(wire), len(wire) + 2 * 126, 2))
        wire += bytes(byte for length in range(126) for byte in (first, length))
        words = array("I", range(first << 24 | 126 << 16 | 126, (first << 24 | 126 << 16) + _TABLED))
        if sys.byteorder == "little":
            words.byteswap()
        offsets.extend(range(len(wire), len(wire) + 4 * len(words), 4))
        wire += words.tobytes()
    offsets.append(len(wire))
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(bytes(wire))]
    return pa.Array.from_buffers(pa.large_binary(), 2 * _TABLED, buffers)


def _header(first: int, length: int) -> bytes:
    if length < 126:
        return bytes((first, length))
    if length < _TABLED:
        return bytes((first, 126)) + length.to_bytes(2, "big")
    return bytes((first, 127)) + length.to_bytes(8, "big")


def _header_size(second: int) -> int:
    return {126: 4, 127: 10}.get(second, 2)
