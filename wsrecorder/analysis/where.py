"""``--where``: one SQL expression that keeps or drops each event, applied to whole record batches.

The expression sees the columns of the view ``events`` (``docs/sql.md``), ``payload`` among them. It is looked at
once, before anything is read: it must be one expression over one event, so that what it says of an event never
depends on which others happen to be in the same batch. DuckDB then gives a mask for each batch; the batch itself
is never copied through it, and its order stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import duckdb

from wsrecorder.errors import UsageError
from wsrecorder.store.schema import COLUMNS, RecordBatch, to_table

__all__ = ["Where"]

_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
    "enable_external_access": False,
    "threads": 1,  # a batch is small, and a replay has other use for the second core
}
_HINT: Final = (
    "give a condition on one event, such as \"payload->>'$.data.order.symbol' = 'BTC/USDT'\"; see docs/sql.md"
)
_ROW_HINT: Final = 'guard it: try_cast(…) gives NULL where cast(…) fails, and "type = …" in --where tells types apart'


class Where:
    """A condition on events, checked and ready to be applied.

    Attributes:
        expression: The SQL expression.
        columns: Columns of the format that it looks at.
        names_session: Whether it looks at the session's id.
        result_type: DuckDB's type of what it gives; all but BOOLEAN is cast to that.

    Args:
        expression: Over the columns of the view ``events``; an event is kept where it is true, not where it is
            false or NULL.

    Raises:
        UsageError: It is no such expression, as DuckDB says.
    """

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self._connection = duckdb.connect(":memory:", config=_CONFIG)
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("SET lock_configuration = true")
        with _explained(_HINT):
            self.result_type = self._check_single()
            named = self._names()
            self.names_session = "session" in named
            # Of a filter that looks at nothing DuckDB must know how many rows there are.
            self.columns = tuple(name for name in COLUMNS if name in named) or ("seq",)
            # An empty batch of all columns: every name and type is looked up, and constants are computed.
            self._mask(self._connection, to_table([], COLUMNS), COLUMNS, "")

    def columns_read(self, wanted: Iterable[str]) -> tuple[str, ...]:
        """Return which columns must be read, so that those wanted can be had."""
        needed = {*wanted, *self.columns}
        return tuple(name for name in COLUMNS if name in needed)

    def apply(
        self, batches: Iterable[RecordBatch | None], columns: Iterable[str], session: str
    ) -> Iterator[RecordBatch | None]:
        """Yield of each batch the rows that are kept, in their order; batches of which nothing is left are left out.

        Args:
            batches: Of one session, with at least `columns_read`; None ("no more for now") is passed on.
            columns: Columns wanted, in this order.
            session: Its id, for the column ``session``; needed where `names_session`.

        Raises:
            UsageError: The expression fails on an event, such as a text cast to a number.
        """
        wanted = list(columns)
        with self._masking() as mask:
            for batch in batches:
                if batch is None:
                    yield None
                    continue
                kept = batch.filter(mask(batch, session))
                if len(kept):
                    yield kept.select(wanted)

    def marked(self, batches: Iterable[RecordBatch], columns: Iterable[str], session: str) -> Iterator[RecordBatch]:
        """Yield each batch whole, with a column ``mark`` that tells for which events it is true; else as `apply`."""
        wanted = list(columns)
        with self._masking() as mask:
            for batch in batches:
                yield batch.select(wanted).append_column("mark", mask(batch, session))

    def close(self) -> None:
        """Let go of DuckDB; nothing can be applied any more."""
        with suppress(duckdb.Error):  # it is being applied on another thread, whose end closes it
            self._connection.close()

    @contextmanager
    def _masking(self) -> Iterator[Callable[[RecordBatch, str], Any]]:
        """Yield what tells of a batch of a session, as an Arrow array, for which events the expression is true."""
        # A cursor of its own: several threads may apply the same condition, each to its stream.
        with self._connection.cursor() as cursor:

            def mask(batch: RecordBatch, session: str) -> Any:
                with _explained(_ROW_HINT):
                    return self._mask(cursor, batch, self.columns, session)

            yield mask

    def _mask(self, connection: duckdb.DuckDBPyConnection, rows: Any, columns: Iterable[str], session: str) -> Any:
        """Return an Arrow array of booleans, one a row."""
        connection.register("batch", rows)
        try:
            names = [f'"{name}"' for name in columns]
            if "text" in columns:
                names.append("try_cast(text AS JSON) AS payload")
            query = (
                f"SELECT coalesce(CAST((\n{self.expression}\n) AS BOOLEAN), false)"
                f" FROM (SELECT {', '.join(['$session AS session', *names])} FROM batch) AS events"
            )
            return connection.sql(query, params={"session": session}).to_arrow_table().column(0).combine_chunks()
        finally:
            connection.unregister("batch")

    def _check_single(self) -> str:
        """Refuse what is not one expression over one row: lists, aggregates, windows, what ends a bracket early.

        Returns:
            The type of what it gives.
        """
        self._connection.register("batch", to_table([], COLUMNS))
        rows = self._connection.sql("SELECT *, '' AS session, try_cast(text AS JSON) AS payload FROM batch")
        events = rows.set_alias("events")
        events.filter(self.expression)
        result_type = str(events.project(f"(\n{self.expression}\n)").types[0])
        del rows, events
        self._connection.unregister("batch")
        return result_type

    def _names(self) -> set[str]:
        """Return the columns that the expression looks at, ``text`` for ``payload``.

        Raises:
            UsageError: It asks a query of its own: which events that sees would depend on the batch.
        """
        query = f"SELECT 1 FROM events WHERE (\n{self.expression}\n)"
        [(parsed,)] = self._connection.execute("SELECT json_serialize_sql($query)", {"query": query}).fetchall()
        condition = json.loads(parsed)["statements"][0]["node"]["where_clause"]
        named: set[str] = set()
        everything = {*COLUMNS, "session"}
        for node in _nodes(condition):
            match node.get("class"):
                case "SUBQUERY":
                    raise UsageError(
                        "an expression that asks a query of its own cannot be answered an event at a time", hint=_HINT
                    )
                case "STAR":
                    return everything
                case "COLUMN_REF":
                    named.update(name.lower() for name in node["column_names"])
        if "events" in named:  # the row as one value
            return everything
        return named | {"text"} if "payload" in named else named


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every node of a parsed expression."""
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for child in tree:
            yield from _nodes(child)


@contextmanager
def _explained(hint: str) -> Iterator[None]:
    """Translate what DuckDB says of the expression into our error."""
    try:
        yield
    except duckdb.Error as exc:
        said = [line for line in str(exc).splitlines() if line.strip()]
        raise UsageError("\n".join(said), hint=hint) from exc
