"""Rows of one session made to fit into another: their numbers, their times, their connections."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc

from wsrecorder.core.event import Kind

__all__ = ["moved", "numbered"]


def numbered(batch: pa.RecordBatch, first_seq: int) -> pa.RecordBatch:
    """Return a batch with sequence numbers that go on without holes.

    Args:
        batch: With all columns.
        first_seq: Number of its first row.
    """
    return _replaced(batch, "seq", pa.array(range(first_seq, first_seq + len(batch)), pa.int64()))


def moved(batch: pa.RecordBatch, by_ns: int) -> pa.RecordBatch:
    """Return a batch whose time since the session's beginning is later; when it came by UTC stays as it is.

    The span of a gap is told by the same clock and moves along.

    Args:
        batch: With all columns.
        by_ns: How much later, ns; below 0 is earlier.
    """
    if not by_ns:
        return batch
    batch = _replaced(batch, "elapsed_ns", pc.add(batch.column("elapsed_ns"), by_ns))
    kind = batch.column("kind")
    if str(Kind.GAP) not in pc.unique(kind).to_pylist():
        return batch
    is_gap = pc.equal(kind.cast(pa.string()), str(Kind.GAP))
    details = [_moved_span(detail, by_ns) for detail in batch.column("detail").filter(is_gap).to_pylist()]
    return _replaced(
        batch, "detail", pc.replace_with_mask(batch.column("detail"), is_gap, pa.array(details, pa.string()))
    )


def _replaced(batch: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    index = batch.schema.get_field_index(name)
    return batch.set_column(index, batch.schema.field(index), column)


def _moved_span(detail: str | None, by_ns: int) -> str | None:
    """Return a gap's detail with its span moved; below 0 it began before the session."""
    try:
        span = json.loads(detail or "null")
    except ValueError:
        return detail
    if not isinstance(span, dict):
        return detail
    for key in ("from_ns", "to_ns"):
        if isinstance(span.get(key), int):
            span[key] += by_ns
    return json.dumps(span)
