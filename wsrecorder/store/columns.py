"""Columns as plain memory, for code that knows nothing of Arrow."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["int64_view", "times_us"]


def int64_view(column: pa.Array) -> memoryview:
    """Return an int64 column without nulls as a memoryview of its integers; nothing is copied."""
    _, values = column.buffers()
    return memoryview(values).cast("B").cast("q")[column.offset : column.offset + len(column)]


def times_us(column: pa.Array, missing: int) -> memoryview:
    """Return a column of times as µs since the epoch, ``missing`` where there is none."""
    return int64_view(pc.fill_null(column.cast(pa.int64()), missing))
