"""Several sessions as one stream, in the order of time, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Source", "merge_batches"]


@dataclass(slots=True)
class Source:
    """One session of a merge.

    Attributes:
        batches: Its record batches, in order; all sources have the same columns, ``elapsed_ns`` among them.
        shift_ns: When it began, counted from the beginning of the merged stream, ns.
        number: What a column ``source`` tells of its rows; None adds no such column.
    """

    batches: Iterable[pa.RecordBatch]
    shift_ns: int
    number: int | None = None
    _iterator: Iterator[pa.RecordBatch] = field(init=False)
    _held: pa.RecordBatch | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._iterator = iter(self.batches)

    def fill(self) -> bool:
        """Hold a batch, its times counted from the beginning of the merged stream; False at the end."""
        while self._held is None or not len(self._held):
            batch = next(self._iterator, None)
            if batch is None:
                return False
            column = batch.schema.get_field_index("elapsed_ns")
            shifted = pc.add(batch.column(column), self.shift_ns)
            self._held = batch.set_column(column, "elapsed_ns", shifted)
            if self.number is not None:
                self._held = self._held.append_column(
                    "source", pa.repeat(pa.scalar(self.number, pa.int64()), len(batch))
                )
        return True

    @property
    def last_ns(self) -> int:
        """Time of the last row held."""
        assert self._held is not None
        last: int = self._held.column("elapsed_ns")[-1].as_py()
        return last

    def take_until(self, horizon_ns: int) -> pa.RecordBatch:
        """Let go of the rows up to and including a time."""
        assert self._held is not None
        count = pc.sum(pc.less_equal(self._held.column("elapsed_ns"), horizon_ns)).as_py() or 0
        taken, self._held = self._held.slice(0, count), self._held.slice(count)
        return taken


def merge_batches(sources: Iterable[Source]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of all sources by time; at the same time, in the order of the sources.

    One batch of each source is held at a time. What may be yielded ends where the source that has come
    least far ends, since its next batch is not known yet. That batch may go on at the same time: those after
    the source wait with what they hold of that time, so that how sessions are cut into batches never shows.
    """
    left = list(sources)
    while left := [source for source in left if source.fill()]:
        horizon_ns, nearest = min((source.last_ns, place) for place, source in enumerate(left))
        taken = [
            batch
            for place, source in enumerate(left)
            if len(batch := source.take_until(horizon_ns - (place > nearest)))
        ]
        if len(taken) == 1:
            yield taken[0]
            continue
        table = pa.Table.from_batches(taken).unify_dictionaries()
        # Stable: rows of one source keep their order even at the same time.
        order = pc.sort_indices(table, sort_keys=[("elapsed_ns", "ascending")])
        yield table.take(order).combine_chunks().to_batches()[0]
