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
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

import duckdb

from wsrecorder.analysis.answer import Answer
from wsrecorder.analysis.read_only import refuse_writing, words
from wsrecorder.analysis.sealed import first_segments
from wsrecorder.analysis.side_tables import SIDE_TABLES
from wsrecorder.analysis.views import MACROS, VIEWS, needed, view
from wsrecorder.errors import SegmentDamaged, SessionError, UsageError
from wsrecorder.store.duckdb_file import DuckDbStore, connect_to_read
from wsrecorder.store.manifest import Manifest
from wsrecorder.store.place import ObjectPath, Place
from wsrecorder.store.schema import COLUMNS, RecordBatch, to_table
from wsrecorder.store.segment import Segment
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import ParquetStore, Store

if TYPE_CHECKING:
    from wsrecorder.analysis.object_files import SegmentFiles

__all__ = ["Queries", "connect"]

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
        self._answers: WeakSet[Answer] = WeakSet()
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
        """Let go of all files and of all answers, read or not; nothing happens the second time.

        DuckDB's threads may be reading ahead, through Python where it is object storage. They end here: one that came
        back to Python while the interpreter ends would end the process.
        """
        for answer in self._answers:
            answer.close()
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
            answer = Answer(self, self._connection.sql(sql))
        self._answers.add(answer)
        return answer

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


def _text(value: str | Place) -> str:
    return "'" + str(value).replace("'", "''") + "'"
