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
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final
from weakref import WeakSet

import duckdb

from wsrecorder.analysis.answer import Answer
from wsrecorder.analysis.read_only import refuse_writing, words
from wsrecorder.analysis.recorded import Recorded, quoted_text, said
from wsrecorder.analysis.side_tables import SIDE_TABLES
from wsrecorder.analysis.views import MACROS, VIEWS, needed, view
from wsrecorder.errors import UsageError
from wsrecorder.store.session import Store

__all__ = ["Queries", "connect"]

_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    # Nothing is fetched from the network behind the user's back.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    # A table that is not there must not be looked for among our own variables.
    "python_enable_replacements": False,
}

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
        self._views: set[str] = set()
        self._answers: WeakSet[Answer] = WeakSet()
        try:
            # Large sorts and joins go there; by default DuckDB would make a folder where the user is.
            self._spill = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="wsrec-"))
            self._connection = self._stack.enter_context(duckdb.connect(":memory:", config=_CONFIG))
            self._recorded = Recorded(self._connection, self._stack)
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
            raise UsageError(said(exc), hint=_HINT) from exc
        except duckdb.PermissionException as exc:
            raise UsageError(
                f"{said(exc)}; a query reads sessions and nothing else",
                hint="name more sessions with --session, or write the result to a file with --out",
            ) from exc
        except (duckdb.Error, OSError, ValueError) as exc:  # Arrow wraps what goes wrong on the way
            self._recorded.check_segments()
            raise UsageError(said(exc), hint=_HINT) from exc

    def _open(self) -> None:
        for setting in (f"temp_directory = {quoted_text(self._spill)}", "TimeZone = 'UTC'"):
            self._connection.execute(f"SET {setting}")
        recorded = self._recorded.query(self._stores)
        with self.explained():  # the first segment is opened
            self._make_view("events", view("events").query.replace("FROM recorded", f"FROM ({recorded})"))
        for setting in (
            f"allowed_paths = [{', '.join(map(quoted_text, self._recorded.paths))}]",
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


def connect(stores: Iterable[Store]) -> Queries:
    """Return something that answers SQL over sessions; use it in a ``with`` statement.

    Args:
        stores: The sessions, sealed or still being recorded, in either form.

    Raises:
        SessionError: One of them cannot be read.
    """
    return Queries(stores)
