"""One Parquet file, with the columns and types of a session.

A session in the library is in this form already, in as many files as it took; this is for tools that
want a single one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["write_parquet"]

_GROUP_ROWS: Final = 65_536
_GROUP_BYTES: Final = 16 << 20


def write_parquet(batches: Iterable[pa.RecordBatch], out: BinaryIO, schema: pa.Schema) -> list[str]:
    """Write record batches as a Parquet file; at most one row group is held in memory.

    Args:
        batches: Of ``schema``.
        out: Stays open; need not be seekable.
        schema: Its metadata goes into the footer.
    """
    words = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    with pq.ParquetWriter(
        out, schema, compression="zstd", compression_level=1, use_dictionary=words,
        write_page_index=True, write_page_checksum=True,
    ) as writer:  # fmt: skip
        for group in _row_groups(batches):
            writer.write_table(group, row_group_size=_GROUP_ROWS)
    return []


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    rows = size_bytes = 0
    for batch in batches:
        held.append(batch)
        rows += len(batch)
        size_bytes += batch.nbytes
        if rows >= _GROUP_ROWS or size_bytes >= _GROUP_BYTES:
            yield pa.Table.from_batches(held)
            held, rows, size_bytes = [], 0, 0
    if held:
        yield pa.Table.from_batches(held)
