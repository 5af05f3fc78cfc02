"""Columns as plain memory, and batches as bytes, for code that knows nothing of Arrow."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["int64_view", "joined", "packed", "times_us", "unpacked"]


def int64_view(column: pa.Array) -> memoryview:
    """Return an int64 column without nulls as a memoryview of its integers; nothing is copied."""
    _, values = column.buffers()
    return memoryview(values).cast("B").cast("q")[column.offset : column.offset + len(column)]


def times_us(column: pa.Array, missing: int) -> memoryview:
    """Return a column of times as µs since the epoch, ``missing`` where there is none."""
    return int64_view(pc.fill_null(column.cast(pa.int64()), missing))


def joined(columns: Iterable[pa.Array]) -> pa.Array:
    """Return columns of one type, one after the other, as one."""
    return pa.concat_arrays(list(columns))


def packed(batch: pa.RecordBatch) -> memoryview:
    """Return a record batch as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return memoryview(sink.getvalue())


def unpacked(content: bytes) -> pa.RecordBatch:
    """Return the one record batch of an Arrow stream."""
    with pa.ipc.open_stream(content) as reader:
        return reader.read_next_batch()
