"""A session as its user sees it: facts, events, batches, tables, lazy frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec

from wsrecorder.analysis.condition import condition
from wsrecorder.core.event import Event, Kind, from_epoch_ns
from wsrecorder.core.moment import parse_moment, resolve_window
from wsrecorder.store import lock
from wsrecorder.store.library import Library, library_path
from wsrecorder.store.manifest import BlackBoxTrigger, Health, Manifest
from wsrecorder.store.objects import allows_http
from wsrecorder.store.place import ObjectPath, Place, local
from wsrecorder.store.remote import RemoteStore
from wsrecorder.store.schema import COLUMNS, RecordBatch, Table, iter_events, to_table
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import ParquetStore, Store

if TYPE_CHECKING:
    import polars as pl

    from wsrecorder.analysis.where import Where

__all__ = ["Session", "SessionInfo", "State", "open_session"]


class State(StrEnum):
    """How far a session has come."""

    SEALED = "sealed"
    """The recording ended properly."""

    RECORDING = "recording"
    """Somebody writes it right now."""

    CUT = "cut"
    """The recording ended without being sealed: ``wsrec recover`` does that."""


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a session.

    Attributes:
        id: Unique name: UTC start and name.
        name: A word for people.
        feed: URL of the feed, credentials redacted, or the file it was imported from.
        path: Where the session is kept.
        start: UTC of its beginning, ISO 8601.
        end: UTC of its last event, ISO 8601.
        duration_s: From the beginning to the last event, seconds.
        events: Rows: frames and marks.
        messages: Frames, both directions.
        bytes: Payload bytes.
        bytes_on_disk: What the session takes on disk.
        types: Frames by type, the most frequent first.
        connections: Connections of the session.
        gaps: Times in which frames may have been missed.
        segments: Sealed segments; 0 in a DuckDB file.
        sealed: Whether the recording ended properly.
        state: Whether it did, is going on, or was cut.
        endpoint_path: Path of the feed's URL, which a replay serves again.
        dialect: How its envelopes are read.
        health: How the recording itself fared.
        host: Name of the machine that recorded it.
        tool: Program and version that recorded it.
        format_version: Version of the layout on disk.
        continues: Id of the session that this one goes on from, after its recorder was started again; or None.
        black_box: Why a black box wrote it; None if none did.
    """

    id: str
    name: str
    feed: str
    path: str
    start: str
    end: str
    duration_s: float
    events: int
    messages: int
    bytes: int
    bytes_on_disk: int
    types: dict[str, int]
    connections: int
    gaps: int
    segments: int
    sealed: bool
    state: State
    endpoint_path: str
    dialect: dict[str, Any]
    health: Health
    host: str
    tool: str
    format_version: int
    continues: str | None = None
    black_box: BlackBoxTrigger | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


class Session:
    """One recording, sealed or still growing, Parquet or DuckDB.

    Args:
        store: Where it is kept.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def __repr__(self) -> str:
        return f"Session({str(self.path)!r})"

    @property
    def path(self) -> Place:
        """Where it is kept."""
        return self.store.path

    @property
    def info(self) -> SessionInfo:
        """Its facts as of now; of a session that still grows they are counted anew each time."""
        is_locked = _is_locked(self.store)  # before the manifest: else one sealed in between would pass for cut
        manifest = self.store.manifest()
        identity = manifest.identity
        return SessionInfo(
            id=identity.id,
            name=identity.name,
            feed=identity.feed,
            path=str(self.path),
            start=from_epoch_ns(identity.started_ns).isoformat(),
            end=from_epoch_ns(_end_ns(manifest)).isoformat(),
            duration_s=manifest.last_elapsed_ns / 1e9,
            events=manifest.events,
            messages=manifest.messages,
            bytes=manifest.size_bytes,
            bytes_on_disk=_bytes_on_disk(self.store),
            types=manifest.types,
            connections=manifest.connections,
            gaps=manifest.gaps,
            segments=len(manifest.segments),
            sealed=manifest.sealed,
            state=_state(is_locked=is_locked, is_sealed=manifest.sealed),
            endpoint_path=identity.path,
            dialect=msgspec.to_builtins(identity.dialect),
            health=manifest.health,
            host=identity.host,
            tool=identity.tool,
            format_version=manifest.format_version,
            continues=identity.continues or None,
            black_box=identity.black_box or None,
        )

    @property
    def state(self) -> State:
        """How far it has come, as of now; nothing is counted."""
        if not isinstance(self.store, RemoteStore) and _is_locked(self.store):
            return State.RECORDING
        if isinstance(self.store, ParquetStore):
            known = self.store.stored_manifest()
            is_sealed = known.sealed if known else not self.store.journal_paths()
        else:
            is_sealed = self.store.manifest().sealed
        return _state(is_locked=isinstance(self.store, RemoteStore), is_sealed=is_sealed)

    def select(
        self,
        *,
        columns: Iterable[str] = COLUMNS,
        start: str | float | None = None,
        end: str | float | None = None,
        types: Iterable[str] | None = None,
        exclude: Iterable[str] = (),
        kinds: Iterable[Kind] | None = None,
        from_seq: int = 0,
    ) -> Selection:
        """Return which events are meant, for the store.

        Args:
            columns: Columns wanted, see ``docs/format.md``.
            start: First moment: an offset (``90s``, or a number of seconds), one from the end (``-10s``), or an ISO
                8601 time.
            end: First moment not wanted any more.
            types: Only messages of these types: names, or one text with commas.
            exclude: No messages of these types; as ``types``.
            kinds: Only events of these kinds.
            from_seq: First sequence number.

        Raises:
            UsageError: A moment is none, or outside of the session; or there is no such column.
        """
        start_ns, end_ns = None, None
        if start is not None or end is not None:
            manifest = self.store.manifest()
            start_ns, end_ns = resolve_window(
                None if start is None else parse_moment(str(start)),
                None if end is None else parse_moment(str(end)),
                start_ns=manifest.identity.started_ns,
                end_ns=_end_ns(manifest),
            )
        return Selection(
            columns=tuple(columns),
            from_seq=from_seq,
            start_ns=start_ns,
            end_ns=end_ns,
            types=None if types is None else _words(types),
            exclude=_words(exclude),
            kinds=None if kinds is None else frozenset(kinds),
        )

    def batches(self, *, where: str | None = None, **wanted: Any) -> Iterator[RecordBatch]:
        """Yield events as Arrow record batches, in sequence, in bounded memory.

        Args:
            where: An SQL expression over the columns of the view ``events``, see ``docs/sql.md``; only events for
                which it is true.
            **wanted: As for `select`.

        Raises:
            UsageError: The expression is none, or fails on an event; or as for `select`.
        """
        selection = self.select(**wanted)
        if where is None:
            return self.store.batches(selection)
        holds = condition(where)
        session = self.store.manifest().identity.id if holds.names_session else ""
        read = replace(selection, columns=holds.columns_read(selection.columns))
        return _until_closed(holds.apply(self.store.batches(read), selection.columns, session), holds)

    def events(self, *, where: str | None = None, **wanted: Any) -> Iterator[Event]:
        """Yield events one by one, in sequence, in bounded memory.

        Args:
            where: As for `batches`.
            **wanted: As for `select`, except ``columns``.

        Raises:
            UsageError: As for `batches`.
        """
        return chain.from_iterable(map(iter_events, self.batches(where=where, **wanted)))

    def table(self, *, where: str | None = None, **wanted: Any) -> Table:
        """Return events as an Arrow table, all of them in memory.

        Args:
            where: As for `batches`.
            **wanted: As for `select`.

        Raises:
            UsageError: As for `batches`.
        """
        return to_table(self.batches(where=where, **wanted), self.select(**wanted).columns)

    def sql(self, query: str) -> Table:
        """Return the rows that an SQL query over this session finds, as an Arrow table, all of them in memory.

        Args:
            query: Over the view ``events``, see ``docs/sql.md``.

        Raises:
            UsageError: The query is wrong, as DuckDB says, or would do more than read.
            SessionError: The session cannot be read.
        """
        from wsrecorder.analysis.sql import connect  # DuckDB: a tenth of a second that only its users should pay

        with connect([self.store]) as queries:
            return queries.query(query).table()

    def lazy(self) -> pl.LazyFrame:
        """Return all events as a Polars lazy frame; a sealed session is read only as far as a query needs.

        Columns are those of a segment, see ``docs/format.md``. Polars reads the segments by itself, so that
        their checksums are not looked at: `events` and its like do that.
        """
        import polars as pl  # heavy: half a second that only its users should pay

        segments = self.store.segment_paths() if isinstance(self.store, ParquetStore) else []
        if segments and self.store.manifest().sealed:
            # Polars speaks to object storage by itself, and reads the same environment.
            options = {"allow_http": "true"} if allows_http() else None
            return pl.scan_parquet(list(map(str, segments)), storage_options=options, glob=False)
        frame = pl.from_arrow(self.table())
        assert isinstance(frame, pl.DataFrame)
        return frame.lazy()


def open_session(reference: str | Place, *, library: str | Place | None = None) -> Session:
    """Return the session that goes by a path or URL, an id, a unique prefix of an id, a name, or ``latest``.

    Args:
        reference: Which session.
        library: The folder of sessions, or its URL; None is what WSREC_LIBRARY names, else ``./recordings``.

    Raises:
        SessionNotFound: None goes by that, or more than one.
    """
    return Session(Library(library_path(library)).find(str(reference)))


def _until_closed(batches: Iterable[RecordBatch | None], holds: Where) -> Iterator[RecordBatch]:
    with closing(holds):
        yield from (batch for batch in batches if batch is not None)


def _words(words: Iterable[str]) -> frozenset[str]:
    # A text is a series of letters too, which nobody means.
    return frozenset(words.split(",") if isinstance(words, str) else words)


def _is_locked(store: Store) -> bool:
    if isinstance(store, RemoteStore):
        # Only where its spool is could be told whether its recorder is alive; while it may be, nobody is to mend it.
        return True
    if isinstance(store, ParquetStore):
        return lock.is_locked(store.path)
    from wsrecorder.store import duckdb_file  # DuckDB: a tenth of a second that only its users should pay

    return duckdb_file.is_locked(local(store.path, "a DuckDB file"))


def _state(*, is_locked: bool, is_sealed: bool) -> State:
    if is_sealed:
        return State.SEALED
    return State.RECORDING if is_locked else State.CUT


def _end_ns(manifest: Manifest) -> int:
    return manifest.identity.started_ns + manifest.last_elapsed_ns


def _bytes_on_disk(store: Store) -> int:
    path = store.path
    if isinstance(path, ObjectPath):
        assert isinstance(store, RemoteStore)
        return store.size_bytes
    if path.is_file():
        log = path.with_name(path.name + ".wal")
        return path.stat().st_size + (log.stat().st_size if log.exists() else 0)
    return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())
