"""Draws what a hostile feed sends once the handshake is done: good messages, a hostile thing among them, an end.

Frames are those of RFC 6455, section 5.2, written by hand, so that they can be wrong; compressed messages are those of
RFC 7692.
"""

from __future__ import annotations

import itertools
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Final

__all__ = ["ENDS", "HOSTILE", "MAX_FRAME_BYTES", "Message", "Script", "Writer", "draw_good", "draw_script", "frame"]

MAX_FRAME_BYTES: Final = 2 << 20
"""The limit that the recorders hold messages to; a deflate bomb of 1 GiB fits into it."""

_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10
_RSV1, _RSV2, _RSV3 = 0x40, 0x20, 0x10

ENDS: Final = ("fin", "rst", "half-close", "silence", "close", "close-then-data")
"""How a connection ends: see `torture.hostile_feed`."""

Message = tuple[bytes, int]
"""Payload and opcode."""


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes = b"", size: int = 0
) -> bytes:
    """Return a frame as it crosses the wire.

    Args:
        opcode: Its opcode, also a reserved one.
        payload: Its payload, masked already if it is to be.
        fin: Whether the message ends with it.
        rsv: Reserved bits.
        mask: A masking key, which a server must not send.
        size: Length to claim instead of the true one.
    """
    length = size or len(payload)
    bit = 0x80 if mask else 0
    if length < 126:
        head = bytes([length | bit])
    elif length < 1 << 16:
        head = bytes([126 | bit]) + length.to_bytes(2, "big")
    else:
        head = bytes([127 | bit]) + length.to_bytes(8, "big")
    return bytes([(0x80 if fin else 0) | rsv | opcode]) + head + mask + payload


@dataclass(slots=True)
class Writer:
    """Writes good messages as a server may: whole, in parts with pings between them, compressed or not.

    Attributes:
        chance: What everything is drawn from.
        deflate: ``None``, ``keeps`` the context, or ``forgets`` it.
    """

    chance: random.Random
    deflate: str | None = None
    _zlib: zlib._Compress | None = None

    def message(self, payload: bytes, opcode: int) -> bytes:
        """Return a message's frames."""
        rsv = 0
        if self.deflate and self.chance.random() < 0.7:
            payload, rsv = self.deflated(payload), _RSV1
        if self.chance.random() < 0.7:
            return frame(opcode, payload, rsv=rsv)
        cuts = sorted(self.chance.randint(0, len(payload)) for _ in range(self.chance.randint(1, 4)))
        edges = [0, *cuts, len(payload)]
        parts = [payload[start:stop] for start, stop in itertools.pairwise(edges)]
        wire = frame(opcode, parts[0], fin=False, rsv=rsv)
        for number, part in enumerate(parts[1:], 2):
            if self.chance.random() < 0.3:
                wire += frame(
                    self.chance.choice([_PING, _PONG]), self.chance.randbytes(self.chance.choice([0, 5, 125]))
                )
            wire += frame(0, part, fin=number == len(parts))
        return wire

    def deflated(self, payload: bytes) -> bytes:
        """Return a payload compressed, as RFC 7692, section 7.2.1, has it."""
        if self._zlib is None or self.deflate == "forgets":
            self._zlib = zlib.compressobj(1, zlib.DEFLATED, -15)
        return (self._zlib.compress(payload) + self._zlib.flush(zlib.Z_SYNC_FLUSH))[:-4]


@dataclass(slots=True)
class Script:
    """What is sent over one open connection, and what must come of it.

    Attributes:
        kind: The hostile thing in it, one of `HOSTILE`.
        end: How it ends, one of `ENDS`.
        before: Bytes up to which the recorder is known to have come, when it has answered the ping at their end.
        after: Bytes behind that.
        cuts: Into how many pieces ``after`` is cut.
        required: Messages that must be recorded, in this order, once.
        optional: Messages that may be recorded behind those: none, some or all, in this order.
        is_loose: Anything may be recorded behind those: the bytes are drawn at random and may be messages.
        is_fatal: The recorder has to end the connection by itself.
        is_deaf: What ends it may be taken for the rest of a frame, so that the recorder stays, until it is tired of it.
    """

    kind: str
    end: str
    before: bytes = b""
    after: bytes = b""
    cuts: int = 1
    required: list[Message] = field(default_factory=list)
    optional: list[Message] = field(default_factory=list)
    is_loose: bool = False
    is_fatal: bool = False
    is_deaf: bool = False


Hostility = Callable[[Writer, random.Random], bytes]


def _reserved_opcode(writer: Writer, chance: random.Random) -> bytes:
    return frame(chance.choice([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), chance.randbytes(chance.randint(0, 40)))


def _reserved_bit(writer: Writer, chance: random.Random) -> bytes:
    bits = chance.choice([_RSV2, _RSV3, _RSV2 | _RSV3, _RSV1 | _RSV3])
    payload = writer.deflated(b"not one of ours") if bits & _RSV1 and writer.deflate else b"not one of ours"
    return frame(chance.choice([_TEXT, _BINARY]), payload, rsv=bits)


def _reserved_bit_of_control(writer: Writer, chance: random.Random) -> bytes:
    # picows lets it pass in pings and pongs, which it answers by itself; no message is touched by it.
    return frame(chance.choice([_PING, _PONG, _CLOSE]), b"", rsv=chance.choice([_RSV1, _RSV2, _RSV3]))


def _compressed_unasked(writer: Writer, chance: random.Random) -> bytes:
    if writer.deflate:  # then it is the continuation that must not say so (RFC 7692, section 6.1)
        return frame(_TEXT, writer.deflated(b"abc"), fin=False, rsv=_RSV1) + frame(0, b"", rsv=_RSV1)
    return frame(_TEXT, b"\xaa\x56\x4a", rsv=_RSV1)


def _fragmented_control(writer: Writer, chance: random.Random) -> bytes:
    return frame(chance.choice([_PING, _PONG, _CLOSE]), b"ab", fin=False)


def _long_control(writer: Writer, chance: random.Random) -> bytes:
    return frame(chance.choice([_PING, _PONG, _CLOSE]), b"x" * chance.choice([126, 127, 1_000, 70_000]))


def _masked(writer: Writer, chance: random.Random) -> bytes:
    return frame(chance.choice([_TEXT, _BINARY, _PING]), b"\0\0\0\0", mask=chance.randbytes(4))


def _stray_continuation(writer: Writer, chance: random.Random) -> bytes:
    return frame(0, b"of nothing", fin=chance.random() < 0.5)


def _message_in_message(writer: Writer, chance: random.Random) -> bytes:
    opcode = chance.choice([_TEXT, _BINARY])
    return frame(_TEXT, b"begun", fin=False) + frame(opcode, b"and another", fin=chance.random() < 0.5)


def _high_bit_length(writer: Writer, chance: random.Random) -> bytes:
    return bytes([0x82, 127]) + (chance.getrandbits(63) | 1 << 63).to_bytes(8, "big") + chance.randbytes(50)


def _huge_length(writer: Writer, chance: random.Random) -> bytes:
    size = chance.choice([1 << 31, (1 << 32) + 5, 1 << 40, (1 << 63) - 1, MAX_FRAME_BYTES + 1])
    return frame(chance.choice([_TEXT, _BINARY]), b"x" * chance.choice([0, 100, 70_000]), size=size)


def _oversized_parts(writer: Writer, chance: random.Random) -> bytes:
    part = b"x" * (MAX_FRAME_BYTES // 4)
    return frame(_TEXT, part, fin=False) + frame(0, part, fin=False) * 3 + frame(0, b"x", fin=False) + frame(0, b"x")


def _close_payload(writer: Writer, chance: random.Random) -> bytes:
    code = chance.choice([0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5_000, 65_535])
    return chance.choice([frame(_CLOSE, b"\x03"), frame(_CLOSE, code.to_bytes(2, "big") + b"why")])


def _close_reason(writer: Writer, chance: random.Random) -> bytes:
    return frame(_CLOSE, b"\x03\xe8" + _broken_text(chance))


def _deflate_garbage(writer: Writer, chance: random.Random) -> bytes:
    # A block of the reserved type 3 is an error whatever follows (RFC 1951, section 3.2.3).
    return frame(_TEXT, b"\x07" + chance.randbytes(chance.randint(0, 400)), rsv=_RSV1)


@cache
def _zeros(size_bytes: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(16 << 20)) + packer.flush(
        zlib.Z_FULL_FLUSH
    )  # stands by itself, so it can be repeated
    return (block * (size_bytes // (16 << 20)))[:-4]


def _bomb(writer: Writer, chance: random.Random) -> bytes:
    payload = _zeros(chance.choice([16 << 20, 64 << 20, 1 << 30]))
    if chance.random() < 0.5:
        return frame(_TEXT, payload, rsv=_RSV1)
    return frame(_TEXT, payload[:500], fin=False, rsv=_RSV1) + frame(0, payload[500:])


def _noise(writer: Writer, chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice([1, 2, 3, 10, 100, 5_000]))


def _long_form(writer: Writer, chance: random.Random) -> bytes:
    # Not the shortest form of the length, which section 5.2 asks for; some let it pass.
    return chance.choice([bytes([0x81, 126, 0, 3]), bytes([0x81, 127, 0, 0, 0, 0, 0, 0, 0, 3])]) + b"abc"


def _http_again(writer: Writer, chance: random.Random) -> bytes:
    return b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


def _broken_text(chance: random.Random) -> bytes:
    broken = chance.choice(
        [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80", b"\xfe\xfe"]
    )
    return b"ab" + broken + b"cd"


FATAL: Final[dict[str, Hostility]] = {
    "reserved opcode": _reserved_opcode,
    "reserved bit": _reserved_bit,
    "compressed, unasked": _compressed_unasked,
    "fragmented control frame": _fragmented_control,
    "long control frame": _long_control,
    "masked frame": _masked,
    "stray continuation": _stray_continuation,
    "message in a message": _message_in_message,
    "length with the high bit": _high_bit_length,
    "huge length": _huge_length,
    "oversized in parts": _oversized_parts,
    "wrong close payload": _close_payload,
    "wrong close reason": _close_reason,
    "deflate garbage": _deflate_garbage,
    "deflate bomb": _bomb,
}
"""What ends a connection: nothing behind it may be recorded."""

LOOSE: Final[dict[str, Hostility]] = {
    "noise": _noise,
    "reserved bit of a control frame": _reserved_bit_of_control,
    "length in a long form": _long_form,
    "HTTP again": _http_again,
}
"""What may or may not be messages."""

HOSTILE: Final = (*FATAL, *LOOSE, "broken UTF-8", "pings and pongs", "cut frame", "nothing")

_DEFLATED: Final = ("deflate garbage", "deflate bomb")


def draw_good(number: int, place: str, chance: random.Random) -> Message:
    """Return a good message that no other case has.

    Args:
        number: The case.
        place: Where in the case.
        chance: What it is drawn from.
    """
    text = f'{{"type": "SIGNAL", "ts": {1_700_000_000_000 + number}, "data": "{number} {place} '
    size = chance.choice([0, 1, 10, 10, 50, 50, 70, 300, 300, 5_000, 66_000])
    filler = "".join(chance.choices("abcdefgh é€😀", k=min(size, 300))) * (1 + size // 300)
    opcode = _TEXT if chance.random() < 0.8 else _BINARY
    payload = (text + filler + '"}').encode()
    return (payload if opcode == _TEXT else payload + chance.randbytes(7), opcode)


def draw_script(number: int, chance: random.Random, deflate: str | None) -> Script:
    """Return what a case's connection sends.

    Args:
        number: The case; its messages hold it.
        chance: What it is drawn from.
        deflate: What was agreed on: None, ``keeps`` or ``forgets`` the context.
    """
    kind = chance.choice(HOSTILE)
    if kind in _DEFLATED and not deflate:
        kind = "nothing"
    script = Script(kind, chance.choice(ENDS), cuts=chance.choice([1, 1, 2, 3, 8, 40]))
    writer = Writer(chance, deflate)
    good = [draw_good(number, f"before {place}", chance) for place in range(chance.randint(0, 6))]
    sure = chance.randint(0, len(good))
    script.before = b"".join(writer.message(*message) for message in good[:sure])
    script.after = b"".join(writer.message(*message) for message in good[sure:])
    unsure = good[sure:]
    if kind in FATAL:
        script.is_fatal = True
        script.after += FATAL[kind](writer, chance)
    elif kind in LOOSE:
        script.is_loose = script.is_deaf = True
        script.after += LOOSE[kind](writer, chance)
    elif kind == "broken UTF-8":
        broken = (_broken_text(chance), _TEXT)
        script.after += writer.message(*broken)
        unsure.append(broken)
    elif kind == "pings and pongs":
        script.after += b"".join(
            frame(chance.choice([_PING, _PONG]), b"p") for _ in range(chance.choice([1, 10, 2_000]))
        )
    behind = [draw_good(number, f"after {place}", chance) for place in range(chance.randint(0, 3))]
    script.after += b"".join(writer.message(*message) for message in behind)
    if not script.is_fatal and not script.is_loose:
        unsure += behind
    if kind == "cut frame":
        whole = writer.message(*draw_good(number, "cut", chance))
        script.after += whole[: chance.randint(1, len(whole) - 1)]
        script.is_deaf = True
        script.is_loose = script.end.startswith("close")  # those bytes may be what was missing
    script.required, script.optional = good[:sure], unsure
    # These ends can take along what the other side has not read yet.
    if script.end not in ("fin", "rst") and not (script.is_deaf and script.end != "half-close"):
        script.required, script.optional = good[:sure] + unsure, []
    return script
