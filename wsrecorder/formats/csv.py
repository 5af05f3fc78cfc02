"""CSV: one row an event, with the columns of a session.

As in RFC 4180: a header, lines end in CRLF, text in quotes, quotes doubled. Nulls are empty and without
quotes. Times are ns and also ISO 8601 (µs, UTC); ``binary`` is base64.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv

from wsrecorder.formats.jsonl import iso_times

__all__ = ["write_csv"]


def write_csv(batches: Iterable[pa.RecordBatch], out: BinaryIO, schema: pa.Schema) -> list[str]:
    """Write record batches as CSV, a header even if there are none.

    Args:
        batches: Of ``schema``.
        out: Stays open.
        schema: Numbers, words, times, text and bytes.
    """
    plain = pa.schema([pa.field(field.name, _plain_type(field.type)) for field in schema])
    options = pyarrow.csv.WriteOptions(eol="\r\n", batch_size=16_384)
    with pyarrow.csv.CSVWriter(out, plain, write_options=options) as writer:
        for batch in batches:
            columns = [_plain(column) for column in batch.columns]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=plain))
    return []


def _plain_type(kind: pa.DataType) -> pa.DataType:
    return kind if pa.types.is_integer(kind) else pa.string()


def _plain(column: pa.Array) -> pa.Array:
    """Return a column as numbers or text."""
    if pa.types.is_timestamp(column.type):
        return iso_times(column)
    if pa.types.is_binary(column.type):
        if column.null_count == len(column):
            return pa.nulls(len(column), pa.string())
        encode = base64.b64encode
        return pa.array([None if value is None else encode(value) for value in column.to_pylist()], pa.string())
    return column if pa.types.is_integer(column.type) else column.cast(pa.string())
