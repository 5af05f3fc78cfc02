"""Rows of one session made to fit into another: their numbers, their times, their connections."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from wsrecorder.core.event import Kind

__all__ = ["between", "gathered", "moved", "numbered", "with_conns"]


def between(batch: pa.RecordBatch, from_ns: int, to_ns: int) -> pa.RecordBatch:
    """Return the rows of a batch that came in a time, its first and last moment included; maybe none.

    Args:
        batch: With all columns.
        from_ns: The first moment, ns since the session began.
        to_ns: The last.
    """
    elapsed_ns = batch.column("elapsed_ns")
    return batch.filter(pc.and_(pc.greater_equal(elapsed_ns, from_ns), pc.less_equal(elapsed_ns, to_ns)))


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


def with_conns(batch: pa.RecordBatch, known: dict[int, int], free: Iterator[int]) -> pa.RecordBatch:
    """Return a batch whose connections have other numbers.

    Args:
        batch: With all columns.
        known: The new number of each connection; those that come for the first time are added.
        free: New numbers.
    """
    column = batch.column("conn")
    found = pc.unique(column)
    for conn in found.to_pylist():
        if conn not in known:
            known[conn] = next(free)
    renamed = pa.array([known[conn] for conn in found.to_pylist()], pa.int32())
    return _replaced(batch, "conn", renamed.take(pc.index_in(column, found)))


def gathered(
    rows: Sequence[tuple[pa.RecordBatch, int]], at_ns: Sequence[int], conn: int, began_ns: int
) -> pa.RecordBatch:
    """Return rows of several batches as one, at other times and in one connection.

    Args:
        rows: At least one: a batch and a place in it. Their ``elapsed_ns`` is UTC, by the clock of who recorded them.
        at_ns: When each came by the new session's clock, UTC ns; what its clock was off is taken off ``received_ns``.
        conn: Number of the connection.
        began_ns: When the new session began, UTC ns.
    """
    held: dict[int, tuple[pa.RecordBatch, list[int]]] = {}
    for batch, row in rows:
        held.setdefault(id(batch), (batch, []))[1].append(row)
    # Only what is between the first and the last row of each batch: more would be copied for nothing.
    starts, parts, total = {}, [], 0
    for key, (batch, wanted) in held.items():
        first, last = min(wanted), max(wanted)
        starts[key] = total - first
        parts.append(batch.slice(first, last - first + 1))
        total += last - first + 1
    places = pa.array([starts[id(batch)] + row for batch, row in rows], pa.int64())
    table = pa.Table.from_batches(parts).unify_dictionaries()
    found = table.take(places).combine_chunks().to_batches()[0]
    now_ns = pa.array(at_ns, pa.int64())
    ahead_ns = pc.subtract(found.column("elapsed_ns"), now_ns)
    received_ns = pc.subtract(found.column("received_ns"), ahead_ns)
    received_at = pc.divide(received_ns, 1_000).cast(pa.timestamp("us", tz="UTC"))
    found = _replaced(found, "received_ns", received_ns)
    found = _replaced(found, "received_at", received_at)
    found = _replaced(found, "elapsed_ns", pc.subtract(now_ns, began_ns))
    return _replaced(found, "conn", pa.array([conn] * len(found), pa.int32()))


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
