"""How many messages of each type came when: counts by type and stretch of time, with what happened beside them.

Counting reads two columns of a session, type and time. What was counted of a sealed session is kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Final

import msgspec

from wsrecorder.analysis.session import Session, State
from wsrecorder.analysis.sql import Queries, connect
from wsrecorder.errors import UsageError
from wsrecorder.store.manifest import OTHER_TYPES
from wsrecorder.store.notes import NoteBook

__all__ = [
    "MOST_BINS",
    "MOST_TYPES",
    "NO_TYPE",
    "OTHER",
    "Connection",
    "Densities",
    "Density",
    "Gap",
    "NoteAt",
    "TypeCounts",
    "density",
]

MOST_TYPES: Final = 12
"""How many types are counted apart; the others are counted together."""

OTHER: Final = "other"
"""What these are called."""

NO_TYPE: Final = "(none)"
"""What messages without a type are called."""

MOST_BINS: Final = 10_000
_MOST_MARKS: Final = 10_000
_KEPT: Final = 64
_MOST_NAMES: Final = 1_000


class TypeCounts(msgspec.Struct, frozen=True):
    """How many messages of a type came in each stretch.

    Attributes:
        type: The type, ``(none)`` for messages without one, ``other`` for all that are not counted apart.
        counts: A number a stretch.
    """

    type: str
    counts: list[int]


class Gap(msgspec.Struct, frozen=True):
    """A time in which frames may have been missed, ns since the session began; ``cause`` in words."""

    from_ns: int
    to_ns: int
    cause: str | None


class Connection(msgspec.Struct, frozen=True):
    """A connection that opened or closed: when, ns since the session began, which it was, and ``detail`` as JSON."""

    elapsed_ns: int
    kind: str
    detail: str


class NoteAt(msgspec.Struct, frozen=True):
    """A note: its moment, ns since the session began, and its text."""

    elapsed_ns: int
    text: str


class Density(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages came when.

    Attributes:
        from_ns: Where the window begins, ns since the session began.
        to_ns: Where it ends, not included.
        bins: How many stretches it is divided into.
        bin_ns: How long each is, ns; only the last ones may reach past the window, or be empty.
        types: The twelve types that are most frequent in the whole session, these first, then the others together; only
            those of which a message came in the window.
        names: All types of the whole session, the most frequent first, those too that are not counted apart; a
            thousand at most.
        gaps: Those that reach into the window.
        connections: What opened and closed in it.
        notes: Those on moments of it.
    """

    from_ns: int
    to_ns: int
    bins: int
    bin_ns: int
    types: list[TypeCounts]
    names: list[str]
    gaps: list[Gap]
    connections: list[Connection]
    notes: list[NoteAt]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


class _Marks(msgspec.Struct, frozen=True):
    """What is the same for every window: the types that are counted apart, all of them, gaps and connections."""

    types: list[str]
    names: list[str]
    gaps: list[Gap]
    connections: list[Connection]


class Densities:
    """Counts the messages of a session, window by window; a context manager, and threads may share it.

    Args:
        session: Sealed or still growing, in either form.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._queries: Queries | None = None
        self._marks: _Marks | None = None
        self._counted: OrderedDict[tuple[int, int, int], Density] = OrderedDict()
        self._counting = threading.Lock()

    def __enter__(self) -> Densities:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the session; it is opened again when asked."""
        with self._counting:
            self._close()

    def density(self, start_ns: int, stop_ns: int, bins: int) -> Density:
        """Return how many messages came in a window; notes are those of now.

        Args:
            start_ns: Where it begins, ns since the session began.
            stop_ns: Where it ends, not included.
            bins: How many stretches it is divided into.

        Raises:
            UsageError: The window is empty, or there are too many stretches, or none.
            SessionError: The session cannot be read.
        """
        if not 0 <= start_ns < stop_ns or not 1 <= bins <= MOST_BINS:
            raise UsageError(
                f"cannot count from {start_ns} to {stop_ns} ns in {bins} stretches",
                hint=f"end after the beginning, which is 0 or more, and use 1 to {MOST_BINS:,} stretches",
            )
        window = start_ns, stop_ns, bins
        with self._counting:
            found = self._counted.get(window)
            if found is None:
                is_sealed = self._session.state is not State.RECORDING  # before it is read: it may end meanwhile
                found = self._count(*window, is_sealed=is_sealed)
                if is_sealed:
                    self._counted[window] = found
                    if len(self._counted) > _KEPT:
                        self._counted.popitem(last=False)
                else:
                    self._close()  # what is opened is the session as it was then
            else:
                self._counted.move_to_end(window)
        notes = [
            NoteAt(note.elapsed_ns, note.text)
            for note in NoteBook(self._session.path).all()
            if start_ns <= note.elapsed_ns < stop_ns
        ]
        return msgspec.structs.replace(found, notes=notes)

    def _count(self, start_ns: int, stop_ns: int, bins: int, *, is_sealed: bool) -> Density:
        bin_ns = -(-(stop_ns - start_ns) // bins)
        marks = self._marks or self._read_marks(is_sealed=is_sealed)
        self._marks = marks if is_sealed else None
        counts: dict[str, list[int]] = {}
        for type_, place, count in self._rows(_COUNTS.format(start_ns=start_ns, stop_ns=stop_ns, bin_ns=bin_ns)):
            name = NO_TYPE if type_ is None else type_
            row = counts.setdefault(name if name in marks.types else OTHER, [0] * bins)
            row[place] += count
        return Density(
            from_ns=start_ns,
            to_ns=stop_ns,
            bins=bins,
            bin_ns=bin_ns,
            types=[TypeCounts(name, counts[name]) for name in (*marks.types, OTHER) if name in counts],
            names=marks.names,
            gaps=[gap for gap in marks.gaps if gap.from_ns < stop_ns and gap.to_ns >= start_ns],
            connections=[each for each in marks.connections if start_ns <= each.elapsed_ns < stop_ns],
            notes=[],
        )

    def _read_marks(self, *, is_sealed: bool) -> _Marks:
        types = self._types_by_manifest() if is_sealed else None
        if types is None:
            types = [name for (name,) in self._rows(_TYPES)]
        named = [NO_TYPE if name is None else name for name in types[:MOST_TYPES]]
        gaps = [Gap(*row) for row in self._rows(_GAPS)]
        names = [name for name in types[:_MOST_NAMES] if name is not None]
        return _Marks(named, names, gaps, [Connection(*row) for row in self._rows(_CONNECTIONS)])

    def _types_by_manifest(self) -> list[str | None] | None:
        """Return the types, the most frequent first, None for none, if the manifest tells all of them."""
        manifest = self._session.store.manifest()
        if OTHER_TYPES in manifest.types:
            return None
        counts: dict[str | None, int] = dict(manifest.types.items())
        if untyped := manifest.messages - sum(manifest.types.values()):
            counts[None] = untyped
        return sorted(counts, key=lambda name: (-counts[name], name is None, name or ""))

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        if self._queries is None:
            self._queries = connect([self._session.store])
        columns = [column.to_pylist() for column in self._queries.query(query).table().columns]
        return list(zip(*columns, strict=True))

    def _close(self) -> None:
        if self._queries is not None:
            self._queries.close()
            self._queries = None


def density(session: Session, start_ns: int, stop_ns: int, bins: int) -> Density:
    """Return how many messages of a session came in a window; who asks often keeps `Densities`.

    The arguments and errors are those of `Densities.density`.
    """
    with Densities(session) as densities:
        return densities.density(start_ns, stop_ns, bins)


# Divided by a whole number of ns: a product of times would not fit into 64 bits.
_COUNTS: Final = """
SELECT type, (elapsed_ns - {start_ns}) // {bin_ns} AS place, count(*) AS n FROM events
WHERE kind = 'message' AND elapsed_ns >= {start_ns} AND elapsed_ns < {stop_ns} GROUP BY ALL
"""
_TYPES: Final = f"""
SELECT type FROM events WHERE kind = 'message' GROUP BY type ORDER BY count(*) DESC, type NULLS LAST LIMIT {_MOST_NAMES}
"""
_GAPS: Final = f"SELECT from_ns, to_ns, cause FROM gaps ORDER BY seq LIMIT {_MOST_MARKS}"
_CONNECTIONS: Final = f"""
SELECT elapsed_ns, kind, detail FROM events WHERE kind IN ('open', 'close') ORDER BY seq LIMIT {_MOST_MARKS}
"""
