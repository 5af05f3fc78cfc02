"""Reads messages out of a stream of bytes that goes by, without any part in the connection.

A reader beside the stream rejects nothing: what breaks the protocol is for the two ends to notice. It keeps
no more than one message, up to a limit, and skips what is larger. Frames are those of RFC 6455, section 5.2.
"""

from __future__ import annotations

import zlib
from typing import Final, Protocol

from wsrecorder.core.event import Opcode
from wsrecorder.net.inflater import Inflater

try:
    from websockets.speedups import apply_mask
except ImportError:  # it is compiled, and not for every machine
    from websockets.utils import apply_mask

__all__ = ["FrameReader", "FrameSink"]

_FIN: Final = 0x80
_RSV1: Final = 0x40  # "this message is compressed" (RFC 7692, section 6)
_MASKED: Final = 0x80
_WHOLE: Final = (_FIN | Opcode.TEXT, _FIN | Opcode.BINARY)
_FIRST_RESERVED: Final = 3
_FIRST_CONTROL: Final = 8
_CLOSE: Final = 8
_LARGEST_CONTROL: Final = 125
_NO_CODE: Final = 1005  # RFC 6455, section 7.1.5


class FrameSink(Protocol):
    """What a reader tells, in the order of the stream."""

    def on_message(self, payload: bytes, opcode: int) -> None:
        """A message ended.

        Args:
            payload: Its bytes, unmasked, inflated and joined; those of a text message are not decoded.
            opcode: 1 is text, 2 is binary.
        """
        ...

    def on_dropped(self, size_bytes: int, cause: str) -> None:
        """A message ended that is not known.

        Args:
            size_bytes: Its size as it crossed the wire.
            cause: Why, in words.
        """
        ...

    def on_close(self, code: int, reason: str) -> None:
        """A close frame went by; 1005 stands for none in it."""
        ...


class FrameReader:
    """Reads one direction of a connection.

    Args:
        sink: Told what was read.
        max_bytes: Largest message that is kept.
        inflater: Of this direction, where permessage-deflate was negotiated.

    Attributes:
        unfinished_bytes: How many of the bytes fed last, and before, belong to a frame that has not ended.
    """

    def __init__(self, sink: FrameSink, *, max_bytes: int, inflater: Inflater | None = None) -> None:
        self._sink = sink
        self._on_message = sink.on_message
        self._max_bytes = max_bytes
        self._inflater = inflater
        self._partial = bytearray()
        self._needed = 0
        self._skip_bytes = 0  # of a frame too large to keep, still to come
        self._skipped_first = 0
        self._skipped_bytes = 0
        self._parts: list[bytes] = []
        self._size_bytes = 0
        self._opcode = 0  # of the message whose parts these are; 0 where there is none
        self._is_compressed = False
        self._is_kept = True
        self.unfinished_bytes = 0

    def feed(self, data: bytes) -> None:
        """Read on; tells the sink of each message that ends in these bytes."""
        if self._skip_bytes:
            data = self._skip(data)
        if self._partial:
            self._partial += data
            if len(self._partial) < self._needed:
                self.unfinished_bytes = len(self._partial)
                return
            data, self._partial = bytes(self._partial), bytearray()
        position = self._read_frames(data)
        if not self._skip_bytes:
            self._partial += memoryview(data)[position:]
            self.unfinished_bytes = len(self._partial)

    def _read_frames(self, data: bytes) -> int:
        """Read all frames that end in ``data``, or are too large; return where the next one begins."""
        position, end, max_bytes, on_message = 0, len(data), self._max_bytes, self._on_message
        while end - position >= 2:
            first, second = data[position], data[position + 1]
            length, start = second & 0x7F, position + 2
            if length >= 126:
                start += 2 if length == 126 else 8
                if start > end:
                    self._needed = start - position
                    return position
                length = int.from_bytes(data[position + 2 : start], "big")
            if second & _MASKED:
                start += 4
            stop = start + length
            if length > max_bytes and (length > _LARGEST_CONTROL or first & 0x0F < _FIRST_CONTROL):
                self._pass_over(first, length, stop - end, end - position)
                position = stop
                continue
            if stop > end:
                self._needed = stop - position
                return position
            payload = data[start:stop]
            if second & _MASKED:
                payload = apply_mask(payload, data[start - 4 : start])
            position = stop
            if first in _WHOLE:
                on_message(payload, first & 0x0F)
            else:
                self._take(first, payload, length)
        self._needed = 2
        return position

    def _pass_over(self, first: int, length: int, missing_bytes: int, seen_bytes: int) -> None:
        if missing_bytes <= 0:
            self._take(first, None, length)
            return
        self._skip_bytes, self._skipped_first, self._skipped_bytes = missing_bytes, first, length
        self.unfinished_bytes = seen_bytes

    def _skip(self, data: bytes) -> bytes:
        """Leave out what belongs to a frame too large to keep; return what follows it."""
        left = data[self._skip_bytes :]
        self._skip_bytes -= len(data) - len(left)
        self.unfinished_bytes += len(data) - len(left)
        if not self._skip_bytes:
            self._take(self._skipped_first, None, self._skipped_bytes)
        return left

    def _take(self, first: int, payload: bytes | None, length: int) -> None:
        """Take a control frame, a fragment, or a message that is compressed; None stands for one over the limit."""
        opcode = first & 0x0F
        if opcode >= _FIRST_CONTROL:
            if opcode == _CLOSE and payload is not None:
                code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else _NO_CODE
                self._sink.on_close(code, payload[2:].decode(errors="replace"))
            return
        if opcode >= _FIRST_RESERVED:
            self._sink.on_dropped(length, f"a frame of the reserved kind {opcode}")
            return
        if opcode:
            if self._opcode:
                self._sink.on_dropped(self._size_bytes, "a message that another one began in")
            self._opcode, self._is_compressed, self._is_kept = opcode, bool(first & _RSV1), True
            self._parts, self._size_bytes = [], 0
        elif not self._opcode:
            self._sink.on_dropped(length, "a continuation of no message")
            return
        self._size_bytes += length
        if payload is None or self._size_bytes > self._max_bytes:
            self._is_kept, self._parts = False, []
        elif self._is_kept:
            self._parts.append(payload)
        if first & _FIN:
            payload, self._parts = b"".join(self._parts), []
            opcode, self._opcode = self._opcode, 0
            self._finish(payload, opcode)

    def _finish(self, payload: bytes, opcode: int) -> None:
        if not self._is_kept:
            if self._is_compressed:
                self._lose_context()
            self._sink.on_dropped(self._size_bytes, self._too_large)
        elif not self._is_compressed:
            self._on_message(payload, opcode)
        elif self._inflater is None:
            self._sink.on_dropped(self._size_bytes, "a compressed message that cannot be inflated")
        else:
            self._inflate(payload, opcode, self._inflater)

    def _inflate(self, payload: bytes, opcode: int, inflater: Inflater) -> None:
        try:
            message = inflater.inflate(payload)
        except OverflowError:
            if not inflater.discard():
                self._inflater = None  # as below
            self._sink.on_dropped(self._size_bytes, self._too_large)
        except zlib.error:
            self._lose_context()
            self._sink.on_dropped(self._size_bytes, "a compressed message that cannot be inflated")
        else:
            self._on_message(message, opcode)

    def _lose_context(self) -> None:
        if self._inflater is None:
            return
        if self._inflater.keeps_context:
            self._inflater = None  # those that follow refer to what was not inflated
        else:
            self._inflater.discard()

    @property
    def _too_large(self) -> str:
        return f"a message over the limit of {self._max_bytes:,} bytes"
