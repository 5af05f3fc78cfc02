"""Putting a session together again from the messages of a log: whole batches, in order, each event once.

A batch is complete when all its events have come; a part of one that was begun twice, by a recorder that was killed
and started again, stays incomplete and is dropped once the sequence has passed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wsrecorder.core.event import Event
from wsrecorder.core.log_message import BatchSpan, batch_of, events_of, part_of

__all__ = ["LogBatches"]


@dataclass(slots=True)
class _Open:
    """A batch that is not complete yet."""

    first_position: int
    events: dict[int, Event] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)


class LogBatches:
    """Takes the messages of one session as they come, gives its events.

    Attributes:
        next_seq: Sequence number of the event that must come next; None until the first has come.
        safe_position: All messages up to this position of the log are dealt with: their events were given.

    Args:
        next_seq: The first event wanted; None takes the first batch that comes whole.
    """

    def __init__(self, next_seq: int | None = None) -> None:
        self.next_seq = next_seq
        self.safe_position = 0
        self._open: dict[BatchSpan, _Open] = {}

    def add(self, headers: Mapping[str, str], payload: bytes, position: int) -> list[Event]:
        """Take a message; return the events that are complete with it, in order, often none.

        Where the log has dropped what should come next, the events that follow are returned: their first sequence
        number tells.

        Args:
            headers: Of the message.
            payload: Of the message.
            position: Its place in the log.

        Raises:
            SessionError: It is no message of wsrec's.
        """
        span = batch_of(headers)
        complete = [] if span is None or self._is_past(span) else self._take(span, headers, payload, position)
        begun = self.open_position
        self.safe_position = position if begun is None else begun - 1
        return complete

    @property
    def open_position(self) -> int | None:
        """Where the first batch begins that is not complete yet; None where there is none."""
        return min((batch.first_position for batch in self._open.values()), default=None)

    def _is_past(self, span: BatchSpan) -> bool:
        return self.next_seq is not None and span.next_seq <= self.next_seq

    def _take(self, span: BatchSpan, headers: Mapping[str, str], payload: bytes, position: int) -> list[Event]:
        batch = self._open.setdefault(span, _Open(position))
        number, parts = part_of(headers)
        if parts > 1:
            held = batch.parts.setdefault(headers["Wsrec-Seq"], {})
            held[number] = payload
            if len(held) < parts:
                return []
            payload = b"".join(held[index] for index in range(1, parts + 1))
        for event in events_of(headers, payload):
            batch.events[event.seq] = event
        if len(batch.events) < span.count:
            return []
        first = span.first_seq if self.next_seq is None else self.next_seq
        self.next_seq = span.next_seq
        self._open = {other: held for other, held in self._open.items() if other.next_seq > span.next_seq}
        return [batch.events[seq] for seq in sorted(batch.events) if seq >= first]
