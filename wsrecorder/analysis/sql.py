"""SQL over recordings, in a DuckDB of its own that can read sessions and write nothing.

The view ``events`` holds the events of all its sessions; the others (`wsrecorder.analysis.views`) are made of it, each
when a query first names it, so that one that is not used costs nothing. ``docs/sql.md`` describes them. Sealed
segments are read by DuckDB itself, as far as a query needs them. What has not been sealed yet is read once,
when the connection is made: a query sees a session that is being recorded as it was then.

DuckDB may touch no other file than those segments, and `wsrecorder.analysis.read_only` lets no query pass that
could write to them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import duckdb

from wsrecorder.analysis.read_only import refuse_writing, words
from wsrecorder.analysis.sealed import first_segments
from wsrecorder.analysis.side_tables import SIDE_TABLES
from wsrecorder.analysis.views import MACROS, VIEWS, needed, view
from wsrecorder.errors import SegmentDamaged, SessionError, UsageError
from wsrecorder.store.duckdb_file import DuckDbStore, connect_to_read
from wsrecorder.store.manifest import Manifest
from wsrecorder.store.place import ObjectPath, Place
from wsrecorder.store.schema import COLUMNS, RecordBatch, Table, to_table
from wsrecorder.store.segment import Segment
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import ParquetStore, Store

if TYPE_CHECKING:
    from wsrecorder.analysis.object_files import SegmentFiles

__all__ = ["Answer", "Explaining", "Queries", "connect"]

_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    # Nothing is fetched from the network behind the user's back.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    # A table that is not there must not be looked for among our own variables.
    "python_enable_replacements": False,
}

_COLUMNS: Final = ", ".join(f'"{name}"' for name in COLUMNS)
_HINT: Final = '"wsrec sql --schema" lists the views and their columns, and so does docs/sql.md'
_LISTING: Final = ("show", "information_schema", "sqlite_master", "pg_catalog", "duckdb_")
"""What a word begins with by which a query asks which views there are."""

_BATCH_ROWS: Final = 16_384


class Explaining(Protocol):
    """What answers queries, and tells what is wrong with one."""

    def explained(self) -> AbstractContextManager[None]:
        """Translate what the engine says into our errors."""
        ...


class Answer:
    """What a query found; it is read while it is taken, and once.

    Attributes:
        columns: Names of the columns; two may be the same.
        types: DuckDB's names of their types, such as ``DECIMAL(18,3)``.
        kinds: DuckDB's ids of them, such as ``decimal``.
    """

    def __init__(self, queries: Explaining, relation: duckdb.DuckDBPyRelation) -> None:
        self._queries = queries
        self._relation = relation
        self.columns = list(relation.columns)
        self.types = [str(kind) for kind in relation.types]
        self.kinds = [kind.id for kind in relation.types]

    def reader(self, *, spelled: frozenset[str] = frozenset()) -> Any:
        """Return an Arrow record batch reader, with attribute ``schema``.

        Args:
            spelled: DuckDB's ids of types that are wanted as text, as DuckDB spells it: ``interval``,
                ``list``, ``struct`` …; for files that cannot hold them.

        Raises:
            UsageError: The query fails.
            SegmentDamaged: A segment cannot be read.
        """
        with self._queries.explained():
            relation = self._relation
            if spelled.intersection(self.kinds):
                numbered = [f"c{index}" for index in range(len(self.kinds))]
                columns = ", ".join(
                    f"{number}{'::VARCHAR' if kind in spelled else ''} AS {_quoted(name)}"
                    for number, kind, name in zip(numbered, self.kinds, self.columns, strict=True)
                )
                # By place, not by name: of two columns the names may be the same.
                alias = f"answer({', '.join(numbered)})"
                spelled_out = relation.query("answer_rows", f"SELECT {columns} FROM answer_rows AS {alias}")
                assert spelled_out is not None  # as it would be of a statement without rows
                relation = spelled_out
            return relation.to_arrow_reader(_BATCH_ROWS)

    def batches(self, *, spelled: frozenset[str] = frozenset()) -> Iterator[RecordBatch]:
        """Yield the rows as Arrow record batches; the arguments and errors are those of `reader`."""
        return self.taken(self.reader(spelled=spelled))

    def taken(self, reader: Any) -> Iterator[RecordBatch]:
        """Yield what a `reader` of this answer reads, with errors translated."""
        batches = iter(reader)
        while True:
            with self._queries.explained():  # not around the yield: what its taker raises is not DuckDB's
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def table(self) -> Table:
        """Return the rows as an Arrow table, all of them in memory."""
        reader = self.reader()
        with self._queries.explained():
            return reader.read_all()


class Queries:
    """Answers SQL over sessions; a context manager that lets go of them at its end.

    Args:
        stores: The sessions; the same one twice counts once.

    Raises:
        SessionError: One of them cannot be read.
    """

    def __init__(self, stores: Iterable[Store]) -> None:
        self._stack = ExitStack()
        self._stores = list({store.path.resolve(): store for store in stores}.values())
        self._segments: list[Place] = []
        self._names: dict[Place, str] = {}
        self._files: SegmentFiles | None = None
        self._count = 0
        self._views: set[str] = set()
        try:
            # Large sorts and joins go there; by default DuckDB would make a folder where the user is.
            self._spill = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="wsrec-"))
            self._connection = self._stack.enter_context(duckdb.connect(":memory:", config=_CONFIG))
            self._open()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Queries:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all files; nothing happens the second time."""
        self._stack.close()

    def query(self, sql: str) -> Answer:
        """Begin to answer one SQL query.

        Raises:
            UsageError: The query is wrong, as DuckDB says, or would do more than read.
            SegmentDamaged: A segment cannot be read.
        """
        with self.explained():
            refuse_writing(sql)
            self._make_views(words(sql))
            return Answer(self, self._connection.sql(sql))

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Translate what DuckDB says, directly or through Arrow, into our errors."""
        try:
            yield
        except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException) as exc:
            raise UsageError(_said(exc), hint=_HINT) from exc
        except duckdb.PermissionException as exc:
            raise UsageError(
                f"{_said(exc)}; a query reads sessions and nothing else",
                hint="name more sessions with --session, or write the result to a file with --out",
            ) from exc
        except (duckdb.Error, OSError, ValueError) as exc:  # Arrow wraps what goes wrong on the way
            self._check_segments()
            raise UsageError(_said(exc), hint=_HINT) from exc

    def _check_segments(self) -> None:
        """Raise if a damaged segment may be the reason of an error; only then it pays to read all of them."""
        for path in self._segments:
            Segment(path)

    def _open(self) -> None:
        for setting in (f"temp_directory = {_text(self._spill)}", "TimeZone = 'UTC'"):
            self._connection.execute(f"SET {setting}")
        parts = [part for store in self._stores for part in self._parts(store)]
        recorded = " UNION ALL ".join(parts or [self._in_memory("", [])])
        self._make_view("events", view("events").query.replace("FROM recorded", f"FROM ({recorded})"))
        for setting in (
            f"allowed_paths = [{', '.join(_text(self._names.get(path, str(path))) for path in self._segments)}]",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            self._connection.execute(f"SET {setting}")

    def _make_views(self, found: set[str]) -> None:
        """Make the views that the words of a query name, and those that these are made of."""
        lists_all = any(word.startswith(_LISTING) for word in found)
        for name in needed(VIEWS if lists_all else found):
            if name not in self._views:
                if len(self._views) == 1:  # the first after events
                    for macro in MACROS:
                        self._connection.execute(macro)
                if name in SIDE_TABLES:
                    SIDE_TABLES[name](self._connection, self._stores)
                self._make_view(name, view(name).query)

    def _make_view(self, name: str, query: str) -> None:
        self._connection.execute(f"CREATE VIEW {name} AS {query}")
        self._views.add(name)

    def _parts(self, store: Store) -> Iterator[str]:
        """Yield a query for each part of a session."""
        try:
            if isinstance(store, ParquetStore):
                yield from self._folder_parts(store)
            else:
                assert isinstance(store, DuckDbStore)
                yield self._file_part(store)
        except duckdb.Error as exc:
            self._check_segments()
            raise SegmentDamaged(
                f"{store.path} cannot be read: {_said(exc).splitlines()[0]}",
                hint='"wsrec verify" names all that is wrong',
            ) from exc

    def _folder_parts(self, store: ParquetStore) -> Iterator[str]:
        known = store.stored_manifest()
        session = (known.identity if known else store.rebuilt_identity()).id
        files = list(store.files().items())
        sealed = first_segments(store, files, known)
        self._segments += sealed
        if sealed:
            yield self._select(session, self._read_parquet(sealed))
        if known is None or not known.sealed or len(sealed) < len(files):
            next_seq = self._next_seq(sealed[-1], known) if sealed else 0
            unsealed = list(store.batches(Selection(from_seq=next_seq)))
            if unsealed:
                yield self._in_memory(session, unsealed)

    def _read_parquet(self, segments: Sequence[Place]) -> str:
        """Return the table of segments; what folders they are in says nothing of columns."""
        remote = [path for path in segments if isinstance(path, ObjectPath)]
        if remote:
            if self._files is None:
                from wsrecorder.analysis.object_files import SegmentFiles  # an extra, for object storage alone

                self._files = SegmentFiles()
                self._connection.register_filesystem(self._files)
            self._names |= zip(remote, self._files.names(remote), strict=True)
        names = ", ".join(_text(self._names.get(path, str(path))) for path in segments)
        return f"read_parquet([{names}], hive_partitioning = false)"

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
        return self._select(self._attached_session(store, alias), f"{alias}.events")

    def _attached_session(self, store: DuckDbStore, alias: str) -> str:
        try:
            row = self._connection.execute(f"SELECT manifest FROM {alias}.session").fetchone()
        except duckdb.CatalogException:
            row = None
        if row is None:
            raise SessionError(f"{store.path} is a DuckDB file, but no session", hint="it was not recorded by wsrec")
        return Manifest.from_json(row[0].encode(), store.path).identity.id

    def _attach(self, path: Path, alias: str) -> None:
        self._connection.execute(f"ATTACH {_text(path)} AS {alias} (READ_ONLY, TYPE duckdb)")

    def _in_memory(self, session: str, batches: list[RecordBatch]) -> str:
        name = f"unsealed_{self._next_number()}"
        self._connection.register(name, to_table(batches, COLUMNS))
        return self._select(session, name)

    def _next_number(self) -> int:
        self._count += 1
        return self._count

    def _select(self, session: str, source: str) -> str:
        return f"SELECT {_text(session)} AS session, {_COLUMNS} FROM {source}"


def connect(stores: Iterable[Store]) -> Queries:
    """Return something that answers SQL over sessions; use it in a ``with`` statement.

    Args:
        stores: The sessions, sealed or still being recorded, in either form.

    Raises:
        SessionError: One of them cannot be read.
    """
    return Queries(stores)


def _said(exc: Exception) -> str:
    """Return what DuckDB says, without blank lines; it ends with the place in the query, if it knows it."""
    return "\n".join(line for line in str(exc).splitlines() if line.strip()) or type(exc).__name__


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str | Place) -> str:
    return "'" + str(value).replace("'", "''") + "'"
