"""Which events of a session are wanted, and which of their columns: filters over whole batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from wsrecorder.core.event import Direction, Kind
from wsrecorder.errors import UsageError
from wsrecorder.store.schema import COLUMNS
from wsrecorder.store.segment import SegmentInfo

__all__ = ["Selection", "is_among"]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events of a session, and which of their columns.

    Attributes:
        columns: Names of `SCHEMA`, in the order wanted.
        from_seq: First sequence number.
        to_seq: First sequence number that is not wanted any more; None is the end.
        start_ns: First moment, ns since the session began; None is the beginning.
        end_ns: First moment that is not wanted any more; None is the end.
        types: Only messages of these types; None is all events, marks too.
        exclude: No messages of these types.
        kinds: Only events of these kinds; None is all.
        direction: Only this direction; None is both.
        conn: Only this connection; None is all.

    Raises:
        UsageError: There is no column of such a name.
    """

    columns: tuple[str, ...] = COLUMNS
    from_seq: int = 0
    to_seq: int | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    types: frozenset[str] | None = None
    exclude: frozenset[str] = frozenset()
    kinds: frozenset[Kind] | None = None
    direction: Direction | None = None
    conn: int | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.columns if name not in COLUMNS]
        if unknown:
            raise UsageError(
                f"events have no column {unknown[0]!r}", hint=f"columns are {', '.join(COLUMNS)}; see docs/format.md"
            )

    def columns_read(self) -> list[str]:
        """Return the columns that must be read: those wanted and those that the filters look at."""
        needed = {*self.columns, "seq", "elapsed_ns"}
        if self.types is not None or self.exclude:
            needed.add("type")
        if self.kinds is not None:
            needed.add("kind")
        if self.direction is not None:
            needed.add("direction")
        if self.conn is not None:
            needed.add("conn")
        return [name for name in COLUMNS if name in needed]

    def is_past(self, batch: pa.RecordBatch) -> bool:
        """Return whether neither a batch, not empty, nor anything after it is wanted; nothing ever goes back."""
        return bool(
            (self.end_ns is not None and batch.column("elapsed_ns")[0].as_py() >= self.end_ns)
            or (self.to_seq is not None and batch.column("seq")[0].as_py() >= self.to_seq)
        )

    def may_hold(self, info: SegmentInfo) -> bool:
        """Return whether a segment can hold any of them, by what the manifest says of it."""
        return not (
            info.next_seq <= self.from_seq
            or (self.to_seq is not None and info.first_seq >= self.to_seq)
            or (self.start_ns is not None and info.last_elapsed_ns < self.start_ns)
            or (self.end_ns is not None and info.first_elapsed_ns >= self.end_ns)
        )

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows wanted of a batch, in the columns wanted."""
        mask: pa.Array | None = None
        for condition in self._conditions(batch):
            mask = condition if mask is None else pc.and_(mask, condition)
        if mask is not None:
            batch = batch.filter(mask)
        return batch.select(list(self.columns)) if tuple(batch.schema.names) != self.columns else batch

    def _conditions(self, batch: pa.RecordBatch) -> Iterator[pa.Array]:
        if not len(batch):
            return
        if batch.column("seq")[0].as_py() < self.from_seq:
            yield pc.greater_equal(batch.column("seq"), self.from_seq)
        if self.to_seq is not None and batch.column("seq")[-1].as_py() >= self.to_seq:
            yield pc.less(batch.column("seq"), self.to_seq)
        if self.start_ns is not None:
            yield pc.greater_equal(batch.column("elapsed_ns"), self.start_ns)
        if self.end_ns is not None:
            yield pc.less(batch.column("elapsed_ns"), self.end_ns)
        yield from self._conditions_on_content(batch)

    def _conditions_on_content(self, batch: pa.RecordBatch) -> Iterator[pa.Array]:
        if self.types is not None:
            yield is_among(batch.column("type"), self.types)
        if self.exclude:
            yield pc.invert(is_among(batch.column("type"), self.exclude))
        if self.kinds is not None:
            yield is_among(batch.column("kind"), self.kinds)
        if self.direction is not None:
            yield is_among(batch.column("direction"), (self.direction,))
        if self.conn is not None:
            yield pc.equal(batch.column("conn"), self.conn)


def is_among(column: pa.Array, words: Iterable[str]) -> pa.Array:
    """Return an Arrow array of booleans: which rows of a column of words hold one of these; null is none."""
    if pa.types.is_dictionary(column.type):
        # Each word is looked up once, not once a row.
        hits = pc.is_in(column.dictionary, value_set=pa.array(list(words), pa.string()))
        return pc.fill_null(hits.take(column.indices), False)
    return pc.is_in(column, value_set=pa.array(list(words), pa.string()))
