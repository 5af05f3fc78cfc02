"""What happens to frames: dropped, altered, doubled, swapped, late; decided by a seed.

Theory of operation. Frames are fed in the order of the stream and come out with the time at which
each is due. Whether a fault hits a frame depends on seed, fault and the frame's sequence number
alone, neither on time nor on how the stream was cut into calls; so whoever replays the same part
with the same seed gets the same faults at the same events. A fault's dice do not depend on the
other faults, nor on its share: at 2% the same events are hit as at 1%, and others.

A frame passes these stations, each for those faults that name its type::

    drop --> corrupt --> duplicate --> reorder --> delay
     |                       |            |
     +--> counted, gone      +--> twice   +--> waits for the next frame that is not dropped

Invariants: what goes in comes out, but for what is counted: in + duplicates = out + dropped +
held. At most one frame is held, and its copy. Due times never fall, so a delay keeps the order.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from wsrecorder.core.fault import FRAME_FAULTS, Fault, FaultKind

__all__ = ["Due", "Frame", "Injector", "corrupt"]

_WORD: Final = 1 << 64
_MASK: Final = _WORD - 1
_STRUCTURE: Final = re.compile(rb'[{}\[\]":,]')
_ASCII: Final = re.compile(rb"[\x00-\x7f]")


class Frame(NamedTuple):
    """A frame of the stream.

    Attributes:
        seq: Its sequence number in the session.
        type: The envelope's type, or None.
        payload: Its bytes.
        is_text: Whether it goes out as text.
    """

    seq: int
    type: str | None
    payload: bytes
    is_text: bool


class Due(NamedTuple):
    """A frame that is to go out.

    Attributes:
        at_ns: When, monotonic time, ns.
        payload: Its bytes.
        is_text: Whether it goes out as text.
    """

    at_ns: int
    payload: bytes
    is_text: bool


class Injector:
    """Injects faults into one stream; see the top of the module.

    Attributes:
        counts: How many frames were dropped, altered, doubled, delayed, and how many pairs swapped.

    Args:
        faults: The faults; those that do not act on frames are left aside.
        seed: Decides which frames are hit.
    """

    def __init__(self, faults: Iterable[Fault], seed: int) -> None:
        self.counts: Counter[FaultKind] = Counter()
        self._dice: dict[FaultKind, list[_Die]] = {kind: [] for kind in FRAME_FAULTS}
        for fault in faults:
            if fault.kind in FRAME_FAULTS:
                self._dice[fault.kind].append(_Die(fault, seed))
        self._held: Sequence[Frame] = ()
        self._latest_ns = 0

    @property
    def is_idle(self) -> bool:
        """Whether no fault acts on frames: they may go out as they are."""
        return not any(self._dice.values())

    @property
    def is_holding(self) -> bool:
        """Whether a frame waits for the next one."""
        return bool(self._held)

    def take(self, frames: Iterable[Frame], now_ns: int) -> list[Due]:
        """Return what goes out when these frames are next, at monotonic ``now_ns``."""
        return [self._delayed(frame, now_ns) for frame in self._ordered(frames)]

    def flush(self, now_ns: int) -> list[Due]:
        """Return the frame that waits for the next one: there is none, so it goes out in its place."""
        held, self._held = self._held, ()
        return [self._delayed(frame, now_ns) for frame in held]

    def _ordered(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            copies = self._copies(frame)
            if not copies:
                continue
            if not self._held and self._hit(FaultKind.REORDER, frame):
                self._held = copies
                continue
            yield from copies
            if self._held:
                self.counts[FaultKind.REORDER] += 1
                yield from self._held
                self._held = ()

    def _copies(self, frame: Frame) -> Sequence[Frame]:
        if self._hit(FaultKind.DROP, frame):
            self.counts[FaultKind.DROP] += 1
            return ()
        if frame.payload and (die := self._hit(FaultKind.CORRUPT, frame)):
            self.counts[FaultKind.CORRUPT] += 1
            frame = frame._replace(payload=corrupt(frame.payload, frame.is_text, die.throw(~frame.seq)))
        if self._hit(FaultKind.DUPLICATE, frame):
            self.counts[FaultKind.DUPLICATE] += 1
            return frame, frame
        return (frame,)

    def _hit(self, kind: FaultKind, frame: Frame) -> _Die | None:
        """Return the first die of a kind that hits a frame."""
        return next((die for die in self._dice[kind] if die.hits(frame)), None)

    def _delayed(self, frame: Frame, now_ns: int) -> Due:
        delays_ns = [die.delay_ns(frame) for die in self._dice[FaultKind.DELAY] if die.is_of(frame)]
        self.counts[FaultKind.DELAY] += bool(delays_ns)
        self._latest_ns = max(self._latest_ns, now_ns + sum(delays_ns))
        return Due(self._latest_ns, frame.payload, frame.is_text)


class _Die:
    """Decides for one fault, the same each time it is asked about the same frame."""

    def __init__(self, fault: Fault, seed: int) -> None:
        salt = f"{seed} {fault.kind} {fault.types_text}".encode()
        self._salt = int.from_bytes(hashlib.blake2b(salt, digest_size=8).digest(), "big")
        self._below = int(fault.share * _WORD)
        self._fault = fault

    def throw(self, seq: int) -> int:
        """Return 64 bits that look random (SplitMix64, Steele et al. 2014)."""
        bits = (self._salt + seq * 0x9E3779B97F4A7C15) & _MASK
        bits = ((bits ^ bits >> 30) * 0xBF58476D1CE4E5B9) & _MASK
        bits = ((bits ^ bits >> 27) * 0x94D049BB133111EB) & _MASK
        return bits ^ bits >> 31

    def is_of(self, frame: Frame) -> bool:
        types = self._fault.types
        return types is None or frame.type in types

    def hits(self, frame: Frame) -> bool:
        return self.is_of(frame) and self.throw(frame.seq) < self._below

    def delay_ns(self, frame: Frame) -> int:
        jitter_ns = self._fault.jitter_ns
        return self._fault.length_ns - jitter_ns + self.throw(frame.seq) % (2 * jitter_ns + 1)


def corrupt(payload: bytes, is_text: bool, dice: int) -> bytes:
    """Alter a payload so that the frame stays legal, and what it says most likely not.

    In a text frame one byte is replaced by ``#``: one that structures JSON, if there is any, else
    any ASCII character (a ``#`` by ``!``); what was UTF-8 still is, as ASCII never is part of a
    longer character. Text without any ASCII becomes ``#``. Of a binary frame one byte is altered.

    Args:
        payload: At least one byte.
        is_text: Whether it goes out as text.
        dice: Says where, 64 bits.
    """
    if not is_text:
        place, bits = dice % len(payload), 1 + (dice >> 32) % 255
        return payload[:place] + bytes((payload[place] ^ bits,)) + payload[place + 1 :]
    places = [match.start() for match in _STRUCTURE.finditer(payload)]
    places = places or [match.start() for match in _ASCII.finditer(payload)]
    if not places:
        return b"#"
    place = places[dice % len(places)]
    other = b"!" if payload[place : place + 1] == b"#" else b"#"
    return payload[:place] + other + payload[place + 1 :]
