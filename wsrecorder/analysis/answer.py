"""What a query found, as it is read from the engine that answers it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

import duckdb

from wsrecorder.errors import UsageError
from wsrecorder.store.schema import RecordBatch, Table

__all__ = ["Answer", "Explaining"]

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
        self._relation: duckdb.DuckDBPyRelation | None = relation
        self._reader: Any = None
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
        relation = self._relation
        if relation is None:
            raise UsageError("the sessions that were asked have been let go of", hint="read an answer before that")
        with self._queries.explained():
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
            self._reader = relation.to_arrow_reader(_BATCH_ROWS)
            return self._reader

    def close(self) -> None:
        """Give up what has not been read; nothing happens the second time.

        As long as there is an answer the engine lives, and may be reading ahead on threads of its own.
        """
        self._relation = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

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


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
