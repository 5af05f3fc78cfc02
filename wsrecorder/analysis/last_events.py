"""The last event of each type and entity before any place of a session, found fast.

Theory of operation. The session is gone through once, a chunk of `CHUNK_EVENTS` at a time, on whatever thread calls
`advance`. At the end of a chunk it is known which event was the last of each type and entity; that is kept as a
checkpoint. A place is then answered by the checkpoint before it and the part of one chunk up to it. Who asks before
the session was gone through waits only for the chunks up to there.

Memory is bounded: of more than `MOST_KEYS` entities those not heard of for longest are left out, and when there
are too many checkpoints, every other one is dropped. All work is done by DuckDB and Arrow on whole columns, off the
interpreter's lock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import duckdb

from wsrecorder.core.entity_key import KEY_PATHS
from wsrecorder.core.event import Direction, Kind
from wsrecorder.store.place import label
from wsrecorder.store.schema import RecordBatch, to_table
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import Store

if TYPE_CHECKING:
    from wsrecorder.analysis.where import Where

__all__ = ["CHUNK_EVENTS", "MOST_KEYS", "LastEvent", "LastEvents"]

_LOG: Final = logging.getLogger("wsrecorder.replay")

CHUNK_EVENTS: Final = 32_768
"""Events of a chunk."""

MOST_KEYS: Final = 5_000
"""How many entities are told apart, those that were heard of last."""

_MOST_CHECKPOINTS: Final = 128
_COLUMNS: Final = ("seq", "elapsed_ns", "type", "text")


def _json_path(path: tuple[str | int, ...]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f'."{step}"' for step in path)


# TRY: of a text that is no JSON, null. Events without an entity stay whatever their number: they are few, one a type.
_LAST: Final = f"""
SELECT type, key, max(seq) AS seq, max(elapsed_ns) AS elapsed_ns
FROM (
    SELECT type, key, seq, elapsed_ns FROM known
    UNION ALL
    SELECT type, coalesce(list_filter(names, lambda name: name <> '')[1], ''), seq, elapsed_ns
    FROM (
        SELECT seq, elapsed_ns, type, TRY(json_extract_string(text, {[_json_path(path) for path in KEY_PATHS]}))
            AS names
        FROM new_events
    )
)
GROUP BY type, key
ORDER BY key = '' DESC, seq DESC
LIMIT {MOST_KEYS + 1}
"""


class LastEvent(NamedTuple):
    """The last event of a type and entity.

    Attributes:
        seq: Its sequence number.
        elapsed_ns: When it was received, ns since its session began.
        type: Its type, or None.
        key: Its entity, see `wsrecorder.core.entity_key`; empty if it names none.
    """

    seq: int
    elapsed_ns: int
    type: str | None
    key: str


class LastEvents:
    """Answers for one session; threads take turns.

    Args:
        store: The session, sealed or still growing.
        exclude: Types that do not count.
        where: Only events for which this is true count; None is all.
    """

    def __init__(self, store: Store, *, exclude: Iterable[str] = (), where: Where | None = None) -> None:
        self._store = store
        self._exclude = frozenset(exclude)
        self._where = where
        self._connection = duckdb.connect(":memory:", config=_CONFIG)
        self._latest: Any = self._connection.sql(
            "SELECT ''::VARCHAR AS type, '' AS key, 0::BIGINT AS seq, 0::BIGINT AS elapsed_ns LIMIT 0"
        ).to_arrow_table()
        self._next_seq = 0
        self._checkpoints: dict[int, Any] = {0: self._latest}
        self._every = CHUNK_EVENTS
        self._turn = threading.Lock()
        self._has_said = False

    @property
    def next_seq(self) -> int:
        """The first event that was not gone through yet; before it all is known."""
        return self._next_seq

    def advance(self, to_seq: int) -> bool:
        """Go through one more chunk, if it ends at or before ``to_seq``; return whether it did.

        Raises:
            SessionError: The session cannot be read there.
            UsageError: The condition fails on an event.
        """
        with self._turn:
            return self._advance(to_seq)

    def before(self, seq: int) -> list[LastEvent]:
        """Return the last event of each type and entity before an event, in sequence.

        Raises:
            SessionError: The session cannot be read up to there.
            UsageError: The condition fails on an event.
        """
        with self._turn:
            while self._advance(seq):
                pass
            start = max(place for place in self._checkpoints if place <= seq)
            found = self._checkpoints[start]
            if self._next_seq <= seq and self._next_seq > start:
                start, found = self._next_seq, self._latest
            if start < seq:
                found = self._joined(found, start, seq)
        columns = [found.column(name).to_pylist() for name in ("seq", "elapsed_ns", "type", "key")]
        return sorted(LastEvent(*row) for row in zip(*columns, strict=True))

    def before_time(self, elapsed_ns: int) -> list[LastEvent]:
        """Return the last event of each type and entity received before a moment, in sequence; see `before`."""
        for batch in self._store.batches(Selection(columns=("seq",), start_ns=elapsed_ns)):
            return self.before(batch.column("seq")[0].as_py())
        last_seq = -1
        for batch in self._store.batches(Selection(columns=("seq",), from_seq=self._next_seq)):
            last_seq = batch.column("seq")[-1].as_py()
        return self.before(max(last_seq + 1, self._next_seq))

    def _advance(self, to_seq: int) -> bool:
        stop_seq = self._next_seq + CHUNK_EVENTS
        if stop_seq > to_seq:
            return False
        self._latest = self._joined(self._latest, self._next_seq, stop_seq)
        self._next_seq = stop_seq
        if stop_seq % self._every == 0:
            self._checkpoints[stop_seq] = self._latest
            if len(self._checkpoints) > _MOST_CHECKPOINTS:
                self._every *= 2
                self._checkpoints = {seq: kept for seq, kept in self._checkpoints.items() if seq % self._every == 0}
        return True

    def _joined(self, known: Any, start_seq: int, stop_seq: int) -> Any:
        """Return the last events before ``stop_seq``, of those known before ``start_seq`` and those from there on."""
        rows = to_table(list(self._events(start_seq, stop_seq)), _COLUMNS)
        with self._connection.cursor() as cursor:
            cursor.register("known", known)
            cursor.register("new_events", rows)
            found = cursor.sql(_LAST).to_arrow_table()
        if found.num_rows > MOST_KEYS:
            found = found.slice(0, MOST_KEYS)
            if not self._has_said:
                self._has_said = True
                _LOG.info(
                    "%s tells of more than %d orders, positions and symbols: clients that join late are not sent the"
                    " last events of those not heard of for longest", label(self._store.path), MOST_KEYS,
                )  # fmt: skip
        return found

    def _events(self, start_seq: int, stop_seq: int) -> Iterator[RecordBatch]:
        columns = _COLUMNS if self._where is None else self._where.columns_read(_COLUMNS)
        selection = Selection(
            columns=columns, from_seq=start_seq, to_seq=stop_seq, exclude=self._exclude,
            kinds=frozenset({Kind.MESSAGE}), direction=Direction.IN,
        )  # fmt: skip
        found: Iterable[RecordBatch | None] = self._store.batches(selection)
        if self._where is not None:
            session = self._store.identity().id if self._where.names_session else ""
            found = self._where.apply(found, _COLUMNS, session)
        yield from (batch for batch in found if batch is not None)


_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
    "enable_external_access": False,
    "threads": 1,  # a replay has other use for the second core
}
