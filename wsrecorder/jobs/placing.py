"""Makes a session of its own out of events of a file, or of a part of another session."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from wsrecorder.core.event import Event, Kind
from wsrecorder.core.moment import readable_duration
from wsrecorder.store.schema import from_rows

__all__ = ["Placing"]


class Placing:
    """Numbers and places the events of a new session.

    Sequence numbers get no holes. Events that do not start with number 0 are a part of a session: it
    begins with its first event, so that a replay does not wait for what was left out.

    Attributes:
        started_ns: UTC of the new session's beginning, ns since the epoch.

    Args:
        first: The first event.
    """

    def __init__(self, first: Event) -> None:
        self._shift_ns = first.elapsed_ns if first.seq else 0
        self.started_ns = first.received_ns - first.elapsed_ns + self._shift_ns
        self._next_seq = 0
        self._renumbered = 0

    def rows(self, events: list[Event]) -> Any:
        """Return events as a record batch that goes on from the one before."""
        next_seq = self._next_seq
        if self._shift_ns:
            events = [self._shifted(event) for event in events]
        self._renumbered += sum(event.seq != seq for seq, event in enumerate(events, next_seq))
        # The batch is numbered on from its first event.
        events[0] = msgspec.structs.replace(events[0], seq=next_seq)
        self._next_seq += len(events)
        return from_rows(events)

    def notes(self) -> list[str]:
        """Return what should be said of it."""
        notes = []
        if self._renumbered:
            notes.append(
                f"{self._renumbered:,} events were numbered anew: their numbers did not begin with 0 or had holes"
            )
        if self._shift_ns:
            shift = readable_duration(self._shift_ns)
            notes.append(f"the events are a part of a session, from {shift} on: this one begins with the first of them")
        return notes

    def _shifted(self, event: Event) -> Event:
        detail = event.detail
        if event.kind is Kind.GAP and detail is not None:
            detail = _shifted_gap(detail, self._shift_ns)
        return msgspec.structs.replace(event, elapsed_ns=event.elapsed_ns - self._shift_ns, detail=detail)


def _shifted_gap(detail: str, by_ns: int) -> str:
    """Return a gap's detail with its span earlier; below 0 it began before this session."""
    span = json.loads(detail)
    if not isinstance(span, dict):
        return detail
    for key in ("from_ns", "to_ns"):
        if isinstance(span.get(key), int):
            span[key] -= by_ns
    return json.dumps(span)
