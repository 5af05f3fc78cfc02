"""A hash over events and their order: two readers that got the same have seen the same, in the same order."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from typing import Final

from wsrecorder.core.event import Direction, Event, Kind

__all__ = ["StreamHash", "stream_hash"]

_KINDS: Final = {kind: number for number, kind in enumerate(Kind)}
_DIRECTIONS: Final = {direction: number for number, direction in enumerate(Direction)}
# Lengths stand before what varies, -1 for what is not there: no two streams give the same bytes.
_PLACE: Final = struct.Struct("<qqqiBBqqq").pack


class StreamHash:
    """Takes events one by one; order, times, payloads and marks all count.

    What is read from a payload (type, time stamp) does not count of its own: it follows from the payload.
    """

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)

    def add(self, event: Event) -> None:
        """Take the next event."""
        text, binary, detail = event.text, event.binary, event.detail
        # Half a surrogate pair cannot be in a text frame, but in an event that somebody made.
        parts = (
            None if text is None else text.encode(errors="surrogatepass"),
            binary,
            None if detail is None else detail.encode(errors="surrogatepass"),
        )
        sizes = (-1 if part is None else len(part) for part in parts)
        self._hash.update(
            _PLACE(
                event.seq, event.elapsed_ns, event.received_ns, event.conn,
                _KINDS[event.kind], _DIRECTIONS[event.direction], *sizes,
            )
        )  # fmt: skip
        for part in parts:
            if part:
                self._hash.update(part)

    def hexdigest(self) -> str:
        """Return the hash of all events so far, 32 hexadecimal digits (BLAKE2b, 128 bits)."""
        return self._hash.hexdigest()


def stream_hash(events: Iterable[Event]) -> str:
    """Return the hash of events in their order, 32 hexadecimal digits.

    Args:
        events: Such as ``session.events()``, or what `wsrecorder.play` gave.
    """
    found = StreamHash()
    for event in events:
        found.add(event)
    return found.hexdigest()
