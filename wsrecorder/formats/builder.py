"""Builds batches of events out of frames and times, for formats that hold no more than these."""

from __future__ import annotations

from typing import Final

from wsrecorder.core.dialect import EnvelopeReader
from wsrecorder.core.event import Direction, Event, Kind

__all__ = ["BATCH_BYTES", "BATCH_EVENTS", "EventBuilder"]

BATCH_EVENTS: Final = 4_096
BATCH_BYTES: Final = 8 << 20


class EventBuilder:
    """Collects events and gives them their sequence number, their place in the session, type and time stamp.

    The session begins with its first event. Its time never goes back: an event that is earlier than the
    one before it keeps its ``received_ns`` and is placed together with that one.

    Attributes:
        conn: The connection that is open.
        elapsed_ns: Place of the last event, ns since the session began.
        received_ns: Time of the last event, UTC ns since the epoch; None before the first.
        stepped_back: Events that were earlier than the one before them.

    Args:
        envelopes: Reads type and time stamp of the payloads.
    """

    def __init__(self, envelopes: EnvelopeReader) -> None:
        self.conn = 0
        self.elapsed_ns = 0
        self.received_ns: int | None = None
        self.stepped_back = 0
        self._envelopes = envelopes
        self._started_ns = 0
        self._next_seq = 0
        self._size_bytes = 0
        self._payloads: list[bytes] = []
        self._known: dict[int, tuple[str | None, int | None]] = {}
        self._rows: list[tuple[Kind, int, Direction, int, int, str | None, bytes | None, str | None]] = []

    @property
    def is_full(self) -> bool:
        """Whether what was collected should be taken."""
        return len(self._rows) >= BATCH_EVENTS or self._size_bytes >= BATCH_BYTES

    def know(self, type_: str | None, sent_us: int | None) -> None:
        """Say type and time stamp (µs since the epoch) of the event that is added next, instead of reading them."""
        self._known[len(self._rows)] = type_, sent_us

    def text(self, text: str, payload: bytes, received_ns: int, direction: Direction = Direction.IN) -> None:
        """Add a text frame; ``payload`` is ``text`` in UTF-8."""
        self._add(Kind.MESSAGE, direction, received_ns, payload, text, None, None)

    def binary(
        self, payload: bytes, received_ns: int, direction: Direction = Direction.IN, detail: str | None = None
    ) -> None:
        """Add a binary frame, or with `NOT_UTF8` as its detail a text frame that is none."""
        self._add(Kind.MESSAGE, direction, received_ns, payload, None, payload, detail)

    def mark(self, kind: Kind, detail: str, received_ns: int) -> None:
        """Add an event that is no frame; ``detail`` is JSON."""
        self._add(kind, Direction.IN, received_ns, b"", None, None, detail)

    def elapsed_at(self, received_ns: int) -> int:
        """Return where an event of this time would be placed, ns since the session began."""
        return self.elapsed_ns if self.received_ns is None else max(self.elapsed_ns, received_ns - self._started_ns)

    def take(self) -> list[Event]:
        """Return what was collected, in order, and begin anew."""
        types, sent_us = self._read()
        first_seq = self._next_seq
        events = [
            Event(seq, kind, conn, direction, elapsed_ns, received_ns, type_, sent_at_us, text, binary, detail)
            for seq, (kind, conn, direction, elapsed_ns, received_ns, text, binary, detail), type_, sent_at_us in zip(
                range(first_seq, first_seq + len(self._rows)), self._rows, types, sent_us, strict=True
            )
        ]
        self._next_seq += len(events)
        self._rows, self._payloads, self._size_bytes, self._known = [], [], 0, {}
        return events

    def notes(self) -> list[str]:
        """Return what should be said of the times."""
        if not self.stepped_back:
            return []
        return [f"{self.stepped_back:,} events are earlier than the one before them; the order of the file was kept"]

    def _read(self) -> tuple[list[str | None], list[int | None]]:
        """Return types and time stamps of the payloads, what is known of them as it is."""
        known = self._known
        if not known:
            return self._envelopes.read_many(self._payloads)
        types: list[str | None]
        sent_us: list[int | None]
        if len(known) == len(self._payloads):
            types, sent_us = map(list, zip(*known.values(), strict=True))
            return types, sent_us
        types, sent_us = [], []
        for index, payload in enumerate(self._payloads):
            type_, sent = known[index] if index in known else self._envelopes.read(payload)
            types.append(type_)
            sent_us.append(sent)
        return types, sent_us

    def _add(
        self, kind: Kind, direction: Direction, received_ns: int, payload: bytes,
        text: str | None, binary: bytes | None, detail: str | None,
    ) -> None:  # fmt: skip
        if self.received_ns is None:
            self._started_ns = received_ns
        elif received_ns < self.received_ns:
            self.stepped_back += 1
        self.elapsed_ns = self.elapsed_at(received_ns)
        self.received_ns = received_ns
        self._payloads.append(payload)
        self._size_bytes += len(payload)
        self._rows.append((kind, self.conn, direction, self.elapsed_ns, received_ns, text, binary, detail))
