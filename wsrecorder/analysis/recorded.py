"""What the view ``events`` of `wsrecorder.analysis.sql` is made of: the events of all its sessions, in their order.

A session is a part or two: its sealed segments, which DuckDB reads itself, and what is not sealed yet, which is read
here. A query of as many branches as there are sessions takes longer to be planned than it takes to run, and that grows
faster than their number. So the segments of sessions that follow one another have one reader, and the path of a segment
says of which session it is; a condition on the session is then answered before any other file is opened. A session
whose folder is not called by its id, and one that is alone, has a reader of its own, which names the session.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb

from wsrecorder.analysis.sealed import first_segments
from wsrecorder.errors import SegmentDamaged, SessionError
from wsrecorder.store.duckdb_file import DuckDbStore, connect_to_read
from wsrecorder.store.manifest import Manifest
from wsrecorder.store.place import ObjectPath, Place, label
from wsrecorder.store.schema import COLUMNS, RecordBatch, to_table
from wsrecorder.store.segment import Segment
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import ParquetStore, Store

if TYPE_CHECKING:
    from wsrecorder.analysis.object_files import SegmentFiles

__all__ = ["Recorded", "quoted_text", "said"]

_COLUMNS: Final = ", ".join(f'"{name}"' for name in COLUMNS)
_SESSION_OF_PATH: Final = "split_part(split_part(segment, '/', -3), '=', -1)"
"""The folder that the folder ``events`` is in, without the ``session=`` of object storage; `_is_told` says where it is
the session."""


@dataclass(frozen=True, slots=True)
class _Sealed:
    """The segments of one session that DuckDB reads by itself."""

    session: str
    segments: Sequence[Place]


class Recorded:
    """The events of sessions as a query for a DuckDB connection, and the files that this reads.

    Args:
        connection: Where the query is to run; what is not sealed is registered there.
        stack: What is to be closed after it.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, stack: ExitStack) -> None:
        self._connection = connection
        self._stack = stack
        self._segments: list[Place] = []
        self._names: dict[Place, str] = {}
        self._files: SegmentFiles | None = None
        self._count = 0

    @property
    def paths(self) -> list[str]:
        """The files that the query reads, as DuckDB names them."""
        return [self._names.get(path, str(path)) for path in self._segments]

    def query(self, stores: Iterable[Store]) -> str:
        """Return a query for the events of sessions, with the id of each event's session.

        Raises:
            SegmentDamaged: A segment is missing or cannot be read.
            SessionError: One of the sessions cannot be read.
        """
        parts = [part for store in stores for part in self._parts(store)]
        return " UNION ALL ".join(self._readers(parts)) or self._in_memory("", [])

    def check_segments(self) -> None:
        """Raise if a damaged segment may be the reason of an error; only then it pays to read all of them.

        Raises:
            SegmentDamaged: One is.
        """
        for path in self._segments:
            Segment(path)

    def _readers(self, parts: Iterable[_Sealed | str]) -> Iterator[str]:
        """Yield a query for each part, and one for parts that follow one another and can share it."""
        for are_told, group in groupby(parts, _is_told):
            together = list(group)
            if are_told and len(together) > 1:
                segments = [path for part in together if isinstance(part, _Sealed) for path in part.segments]
                yield f"SELECT {_SESSION_OF_PATH} AS session, {_COLUMNS} FROM {self._read_parquet(segments, 'segment')}"
                continue
            for part in together:
                yield part if isinstance(part, str) else _select(part.session, self._read_parquet(part.segments))

    def _parts(self, store: Store) -> Iterator[_Sealed | str]:
        """Yield the parts of a session: segments, or a query."""
        try:
            if isinstance(store, ParquetStore):
                yield from self._folder_parts(store)
            else:
                assert isinstance(store, DuckDbStore)
                yield self._file_part(store)
        except duckdb.Error as exc:
            self.check_segments()
            raise SegmentDamaged(
                f"{store.path} cannot be read: {said(exc).splitlines()[0]}",
                hint='"wsrec verify" names all that is wrong',
            ) from exc

    def _folder_parts(self, store: ParquetStore) -> Iterator[_Sealed | str]:
        known = store.stored_manifest()
        session = (known.identity if known else store.rebuilt_identity()).id
        files = list(store.files().items())
        sealed = first_segments(store, files, known)
        self._segments += sealed
        if sealed:
            yield _Sealed(session, sealed)
        if known is None or not known.sealed or len(sealed) < len(files):
            next_seq = self._next_seq(sealed[-1], known) if sealed else 0
            unsealed = list(store.batches(Selection(from_seq=next_seq)))
            if unsealed:
                yield self._in_memory(session, unsealed)

    def _read_parquet(self, segments: Sequence[Place], path_column: str | None = None) -> str:
        """Return the table of segments; what folders they are in says nothing of columns."""
        remote = [path for path in segments if isinstance(path, ObjectPath)]
        if remote:
            if self._files is None:
                from wsrecorder.analysis.object_files import SegmentFiles  # an extra, for object storage alone

                self._files = SegmentFiles()
                self._connection.register_filesystem(self._files)
            self._names |= zip(remote, self._files.names(remote), strict=True)
        names = ", ".join(quoted_text(self._names.get(path, str(path))) for path in segments)
        # Of the column that DuckDB has anyway, not every condition is answered before files are opened.
        told = f", filename = {quoted_text(path_column)}" if path_column else ""
        return f"read_parquet([{names}], hive_partitioning = false{told})"

    def _next_seq(self, last: Place, known: Manifest | None) -> int:
        for info in known.segments if known else []:
            if info.name == last.name:
                return info.next_seq
        # Sealed, and not in the manifest yet: the file's own statistics say it.
        row = self._connection.execute(f"SELECT max(seq) FROM {self._read_parquet([last])}").fetchone()
        assert row is not None
        return int(row[0]) + 1

    def _file_part(self, store: DuckDbStore) -> str:
        alias = f"file_{self._next_number()}"
        path = store.path.resolve()
        try:
            self._attach(path, alias)
        except duckdb.IOException:  # another process records it, or it is no DuckDB file
            with closing(self._stack.enter_context(connect_to_read(path))) as connection:
                copy = connection.execute("SELECT path FROM duckdb_databases() WHERE NOT internal").fetchone()
            assert copy is not None
            self._attach(Path(copy[0]), alias)
        except duckdb.ResourceInUseException:  # this process has it open
            return self._in_memory(store.identity().id, list(store.batches(Selection())))
        # A view may read any file of this machine, and this is a file that somebody may have sent.
        query = "SELECT count(*) FROM duckdb_tables() WHERE database_name = ? AND table_name IN ('events', 'session')"
        if self._connection.execute(query, [alias]).fetchone() != (2,):
            raise SessionError(
                f"{store.path} is a DuckDB file, but no session: it lacks the tables events and session",
                hint="it was not recorded by wsrec",
            )
        return _select(self._attached_session(store, alias), f"{alias}.events")

    def _attached_session(self, store: DuckDbStore, alias: str) -> str:
        try:
            row = self._connection.execute(f"SELECT manifest FROM {alias}.session").fetchone()
        except duckdb.CatalogException:
            row = None
        if row is None:
            raise SessionError(f"{store.path} is a DuckDB file, but no session", hint="it was not recorded by wsrec")
        return Manifest.from_json(row[0].encode(), store.path).identity.id

    def _attach(self, path: Path, alias: str) -> None:
        self._connection.execute(f"ATTACH {quoted_text(path)} AS {alias} (READ_ONLY, TYPE duckdb)")

    def _in_memory(self, session: str, batches: list[RecordBatch]) -> str:
        name = f"unsealed_{self._next_number()}"
        self._connection.register(name, to_table(batches, COLUMNS))
        return _select(session, name)

    def _next_number(self) -> int:
        self._count += 1
        return self._count


def _is_told(part: _Sealed | str) -> bool:
    """Return whether the path of each segment says of which session it is."""
    return isinstance(part, _Sealed) and all(
        label(path.parent.parent) == part.session and "=" not in part.session for path in part.segments
    )


def _select(session: str, source: str) -> str:
    return f"SELECT {quoted_text(session)} AS session, {_COLUMNS} FROM {source}"


def said(exc: Exception) -> str:
    """Return what DuckDB says, without blank lines; it ends with the place in the query, if it knows it."""
    return "\n".join(line for line in str(exc).splitlines() if line.strip()) or type(exc).__name__


def quoted_text(value: str | Place) -> str:
    """Return a text as SQL writes it."""
    return "'" + str(value).replace("'", "''") + "'"
