"""What must hold for every event, checked over whole batches."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from wsrecorder.core.event import Direction, Kind
from wsrecorder.store.schema import SCHEMA

__all__ = ["RowRules"]


class RowRules:
    """Checks the events of a session, batch by batch; it remembers where the one before it ended.

    Attributes:
        next_seq: Sequence number that must come next.
    """

    def __init__(self) -> None:
        self.next_seq = 0
        self._last_elapsed_ns: int | None = None

    def broken(self, batch: pa.RecordBatch) -> Iterator[str]:
        """Yield which rules a batch of all columns breaks, in words.

        Args:
            batch: Not empty.
        """
        try:
            # Text that is not UTF-8 would be passed on as it is.
            batch.validate(full=True)
        except pa.ArrowInvalid as exc:
            yield f"values that no reader can trust: {str(exc).splitlines()[0]}"
            return
        for field in SCHEMA:
            if not field.nullable and batch.column(field.name).null_count:
                yield f"column {field.name} has nulls, expected none"
                return
        yield from self._broken_order(batch)
        yield from _broken_words(batch)
        yield from _broken_payloads(batch)
        beside_ns = pc.subtract(
            batch.column("received_ns"), pc.multiply(batch.column("received_at").cast(pa.int64()), 1_000)
        )
        if pc.max(pc.abs(beside_ns)).as_py() >= 1_000:
            yield "received_at is not received_ns in µs"

    def _broken_order(self, batch: pa.RecordBatch) -> Iterator[str]:
        first_seq, last_seq = batch.column("seq")[0].as_py(), batch.column("seq")[-1].as_py()
        if first_seq != self.next_seq:
            yield f"goes on with event {first_seq}, expected {self.next_seq}"
        if last_seq - first_seq != len(batch) - 1 or _goes_back(batch.column("seq"), strictly=True):
            yield f"its sequence has holes or twins between {first_seq} and {last_seq}"
        self.next_seq = last_seq + 1
        elapsed_ns = batch.column("elapsed_ns")
        began_ns = elapsed_ns[0].as_py()
        if (self._last_elapsed_ns is not None and began_ns < self._last_elapsed_ns) or _goes_back(elapsed_ns):
            yield f"elapsed_ns goes back at or after event {first_seq}"
        self._last_elapsed_ns = elapsed_ns[-1].as_py()


def _goes_back(column: pa.Array, *, strictly: bool = False) -> bool:
    """Return whether a value is smaller than the one before it, or, strictly, not greater."""
    compare = pc.less_equal if strictly else pc.less
    return bool(pc.any(compare(column[1:], column[:-1])).as_py())


def _broken_words(batch: pa.RecordBatch) -> Iterator[str]:
    for name, words in (("kind", Kind), ("direction", Direction)):
        known = {str(word) for word in words}
        unknown = [word for word in pc.unique(batch.column(name)).to_pylist() if word not in known]
        if unknown:
            yield f"{name} {unknown[0]!r} is none of {', '.join(sorted(known))}"


def _broken_payloads(batch: pa.RecordBatch) -> Iterator[str]:
    is_text, is_binary = pc.is_valid(batch.column("text")), pc.is_valid(batch.column("binary"))
    is_frame = pc.equal(batch.column("kind").cast(pa.string()), str(Kind.MESSAGE))
    if pc.any(pc.and_(is_text, is_binary)).as_py():
        yield "a frame has both text and binary, expected one of them"
    has_payload = pc.or_(is_text, is_binary)
    if pc.any(pc.and_(is_frame, pc.invert(has_payload))).as_py():
        yield "a frame has neither text nor binary, expected one of them"
    if pc.any(pc.and_(pc.invert(is_frame), has_payload)).as_py():
        yield "a mark has a payload, expected none"
