"""Several recordings of the same feed as one: each fills the gaps of the others, and nothing is doubled.

Which message is which is decided in `wsrecorder.core.gap_filling`; here sessions are read into it, twice: once for a
sample that tells how the recorders' clocks are off, once for the messages. What comes out is written as one recorder
would have that was there whenever one of them was.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from zlib import crc32

from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.core.gap_filling import Filled, fill_gaps
from wsrecorder.core.recorder_clocks import ClockOffset, Sample, clock_offsets, tolerance_of
from wsrecorder.core.stretches import BEGINNING_NS, Away, Left, Sighting
from wsrecorder.errors import UsageError
from wsrecorder.store.manifest import Identity
from wsrecorder.store.moving import gathered, moved, numbered
from wsrecorder.store.place import label
from wsrecorder.store.schema import from_rows
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import Store

__all__ = ["Recordings", "Shares"]

_BATCH: Final = 4_096
_SAMPLED: Final = ("elapsed_ns", "direction", "text", "binary")


@dataclass(slots=True)
class Shares:
    """Who contributed what.

    Attributes:
        kept: Messages taken from each session.
        alone: Of these, those that no other saw.
        shared: Messages that more than one saw.
        filled: What the filling of gaps counted.
    """

    kept: Counter[int] = field(default_factory=Counter)
    alone: Counter[int] = field(default_factory=Counter)
    shared: int = 0
    filled: Filled = field(default_factory=Filled)

    def add(self, sighting: Sighting) -> None:
        """Count a message."""
        source = sighting.content[0]
        self.kept[source] += 1
        if sighting.seen.bit_count() > 1:
            self.shared += 1
        else:
            self.alone[source] += 1


class Recordings:
    """Recordings of one feed.

    Attributes:
        offsets: How the clock of each is off the first one's.
        shares: Who contributed what, once `batches` has ended.
        began_ns: When the earliest began, UTC ns by the first one's clock.

    Args:
        stores: Where they are.
        heartbeat_type: Type of messages that each connection gets by itself; None is none.
        on_events: Is told how many events were read.
    """

    def __init__(self, stores: Sequence[Store], heartbeat_type: str | None, on_events: Callable[[int], None]) -> None:
        self._stores = stores
        self._identities: list[Identity] = [store.identity() for store in stores]
        self._heartbeat_type = heartbeat_type
        self._on_events = on_events
        self._read = 0
        self.shares = Shares()
        self.offsets: list[ClockOffset] = clock_offsets([self._sample(place) for place in range(len(stores))])
        self.began_ns = min(
            identity.started_ns - offset.ahead_ns
            for identity, offset in zip(self._identities, self.offsets, strict=True)
        )

    def batches(self) -> Iterator[Any]:
        """Yield the events of all as record batches, numbered from 0 on."""
        stream: Iterator[Sighting | Left] = self._sightings(0)
        tolerance = tolerance_of(self.offsets)
        for place in range(1, len(self._stores)):
            stream = fill_gaps(stream, self._sightings(place), tolerance, self.shares.filled)
        next_seq = 0
        for batch in _Writing(self.began_ns, self._identities).batches(stream, self.shares):
            yield numbered(batch, next_seq)
            next_seq += len(batch)

    def _sample(self, place: int) -> Sample:
        sample, started_ns = Sample(), self._identities[place].started_ns
        selection = Selection(columns=_SAMPLED, kinds=frozenset({Kind.MESSAGE}), direction=Direction.IN)
        for batch in self._stores[place].batches(selection):
            columns = (batch.column(name).to_pylist() for name in ("elapsed_ns", "text", "binary"))
            for elapsed_ns, text, binary in zip(*columns, strict=True):
                sample.add(crc32(binary if text is None else text.encode()), started_ns + elapsed_ns)
            self._told(batch)
        return sample

    def _told(self, batch: Any) -> None:
        self._read += len(batch)
        self._on_events(self._read)

    def _sightings(self, place: int) -> Iterator[Sighting | Left]:
        """Yield what a recorder saw, its times by the first one's clock, UTC."""
        started_ns, ahead_ns = self._identities[place].started_ns, self.offsets[place].ahead_ns
        presence = _Presence(started_ns - ahead_ns, self._stores[place])
        for batch in self._stores[place].batches(Selection()):
            rows = moved(batch, started_ns)
            names = ("kind", "elapsed_ns", "direction", "type", "text", "binary", "detail")
            columns = (rows.column(name).to_pylist() for name in names)
            for row, (kind, at_ns, direction, type_, text, binary, detail) in enumerate(zip(*columns, strict=True)):
                if kind != Kind.MESSAGE:
                    presence.mark(kind, at_ns - ahead_ns, detail)
                    continue
                payload = binary if text is None else text
                is_out = direction == Direction.OUT
                yield Sighting(
                    (direction, payload) if is_out else payload,
                    at_ns - ahead_ns,
                    (place, rows, row),
                    presence.seen(at_ns - ahead_ns),
                    is_out or (type_ is not None and type_ == self._heartbeat_type),
                    1 << place,
                )
            self._told(batch)
        yield presence.end()


class _Presence:
    """Follows when a recorder was there.

    Attributes:
        left_ns: When it left, None while it is there, `BEGINNING_NS` before it ever was.
        last_ns: When anything last happened.
    """

    def __init__(self, began_ns: int, store: Store) -> None:
        self.left_ns: int | None = BEGINNING_NS
        self.last_ns = began_ns
        self._back_ns: int | None = None
        self._cause = ""
        self._open = 0
        self._store = store

    def mark(self, kind: str, at_ns: int, detail: str | None) -> None:
        self.last_ns = at_ns
        if kind == Kind.OPEN:
            self._open += 1
            if self._open > 1:
                raise UsageError(
                    f"{label(self._store.path)} holds several connections at a time: it is no recording of one feed",
                    hint="merge it without --same-feed",
                )
            self._back_ns = at_ns
        elif kind in (Kind.CLOSE, Kind.GAP):
            self._open = 0 if kind == Kind.CLOSE else self._open
            if self.left_ns is None:
                self.left_ns, self._cause = at_ns, _cause(detail)
            self._back_ns = None

    def end(self) -> Left:
        """Return when and why it left for good."""
        if self.left_ns is None or self.left_ns == BEGINNING_NS:
            return Left(self.last_ns)
        return Left(self.left_ns, self._cause)

    def seen(self, at_ns: int) -> Away | None:
        """Return how long it was away before a message; None if it was there."""
        self.last_ns = at_ns
        if self.left_ns is None:
            return None
        away = Away(self.left_ns, at_ns if self._back_ns is None else self._back_ns, self._cause)
        self.left_ns = self._back_ns = None
        return away


class _Writing:
    """Makes the rows of one recorder out of what several saw."""

    def __init__(self, began_ns: int, identities: Sequence[Identity]) -> None:
        self._began_ns = self._last_ns = began_ns
        self._opening = {"url": identities[0].feed, "merged": [identity.id for identity in identities]}
        self._conn = 0
        self._rows: list[tuple[Any, int]] = []
        self._at_ns: list[int] = []

    def batches(self, stream: Iterator[Sighting | Left], shares: Shares) -> Iterator[Any]:
        """Yield the record batches; their numbers are not right yet."""
        for sighting in stream:
            if isinstance(sighting, Left):
                yield from self._held()
                yield self._marks(self._closing(sighting.at_ns, 1000, "the recording ended"))
                return
            if sighting.away is not None:
                yield from self._held()
                yield self._marks(*self._back(sighting.away))
            shares.add(sighting)
            _, batch, row = sighting.content
            self._rows.append((batch, row))
            self._at_ns.append(self._not_before(sighting.at_ns))
            if len(self._rows) == _BATCH:
                yield from self._held()

    def _held(self) -> Iterator[Any]:
        if self._rows:
            yield gathered(self._rows, self._at_ns, self._conn, self._began_ns)
            self._rows, self._at_ns = [], []

    def _back(self, away: Away) -> Iterator[Event]:
        if away.left_ns == BEGINNING_NS:
            yield self._mark(Kind.OPEN, away.back_ns, self._opening)
            return
        closing = self._closing(away.left_ns, 1006, away.cause)
        left_ns = closing.elapsed_ns
        yield closing
        back_ns = self._not_before(away.back_ns) - self._began_ns
        detail = {
            "cause": away.cause or "no recorder was there",
            "from_ns": left_ns,
            "to_ns": back_ns,
            "duration_s": round((back_ns - left_ns) / 1e9, 6),
        }
        yield self._mark(Kind.GAP, away.back_ns, detail)
        self._conn += 1
        yield self._mark(Kind.OPEN, away.back_ns, self._opening)

    def _closing(self, at_ns: int, code: int, cause: str) -> Event:
        return self._mark(Kind.CLOSE, at_ns, {"code": code, "reason": "", "cause": cause})

    def _mark(self, kind: Kind, at_ns: int, detail: dict[str, Any]) -> Event:
        at_ns = self._not_before(at_ns)
        return Event(0, kind, self._conn, Direction.IN, at_ns - self._began_ns, at_ns, detail=json.dumps(detail))

    def _marks(self, *events: Event) -> Any:
        return from_rows(list(events))

    def _not_before(self, at_ns: int) -> int:
        self._last_ns = max(self._last_ns, at_ns)
        return self._last_ns


def _cause(detail: str | None) -> str:
    try:
        found = json.loads(detail or "null")
    except ValueError:
        return ""
    return str(found.get("cause") or "") if isinstance(found, dict) else ""
