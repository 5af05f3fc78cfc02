"""Writing a segment: to the disk, where it gets its name only when it was read back, or into memory."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from wsrecorder.errors import SegmentDamaged
from wsrecorder.store import disk, stamp
from wsrecorder.store.place import Place
from wsrecorder.store.schema import SCHEMA
from wsrecorder.store.segment import (
    GROUP_BYTES,
    GROUP_ROWS,
    INTEGERS,
    PAYLOADS,
    WORDS,
    SegmentInfo,
    check_segment,
)

__all__ = ["segment_content", "write_segment"]


def write_segment(
    batches: Iterable[pa.RecordBatch], path: Path, metadata: dict[str, str], *, rows: int | None = None
) -> SegmentInfo:
    """Write record batches of `SCHEMA` as a segment, and read it back before it gets its name.

    At most one row group is held in memory at a time.

    Args:
        batches: At least one event, in order.
        path: Its final name.
        metadata: Goes into the footer, so that the manifest can be rebuilt from it.
        rows: How many events there must be; None is as many as the batches hold.

    Raises:
        StorageError: The disk refuses.
        SegmentDamaged: What was read back is not what was written, or not all that there must be.
            Whatever the error, nothing goes by the final name then.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with disk.storage_errors(path), disk.create_anew(temporary) as file:
            written = _write(batches, file, metadata)
            stamp.fill_in(file)
            disk.sync(file)
        info = check_segment(temporary)
        if info.rows != written or rows not in (None, written):
            raise SegmentDamaged(
                f"{path} holds {info.rows} events, expected {written if rows is None else rows}",
                hint="check the disk; the journal beside it was left as it is",
            )
        disk.publish(temporary, path)
    except BaseException:
        disk.discard(temporary)
        raise
    return msgspec.structs.replace(info, name=path.name)


def segment_content(
    batches: Iterable[pa.RecordBatch], path: Place, metadata: dict[str, str]
) -> tuple[bytes, SegmentInfo]:
    """Return record batches of `SCHEMA` as the content of a segment, read back from memory, and what it holds.

    Args:
        batches: At least one event, in order.
        path: Where it is to be.
        metadata: Goes into the footer.

    Raises:
        SegmentDamaged: What was read back is not what was written.
    """
    file = io.BytesIO()
    _write(batches, file, metadata)
    stamp.fill_in(file)
    content = file.getvalue()
    return content, check_segment(path, content=content)


def _write(batches: Iterable[pa.RecordBatch], file: IO[bytes], metadata: dict[str, str]) -> int:
    """Write the Parquet file, its checksum still blank, and return how many events it holds."""
    rows = 0
    with _writer(file, metadata) as writer:
        for group in _row_groups(batches):
            writer.write_table(group, row_group_size=GROUP_ROWS)
            rows += group.num_rows
        writer.add_key_value_metadata(stamp.BLANK_ENTRY)
    return rows


def _writer(file: object, metadata: dict[str, str]) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        file,
        SCHEMA.with_metadata(metadata),
        compression="zstd",
        compression_level=1,
        use_dictionary=list(WORDS),
        # Sequence and times grow by small steps: their differences take a fraction of the bytes.
        column_encoding=dict.fromkeys(INTEGERS, "DELTA_BINARY_PACKED"),
        # Smallest and largest payload would only repeat payloads.
        write_statistics=[*INTEGERS, *WORDS],
        write_page_index=True,
        write_page_checksum=True,
        store_schema=True,
    )


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield tables of about 64k rows or 16 MiB of payload, whichever is first."""
    held: list[pa.RecordBatch] = []
    rows = size_bytes = 0
    for batch in batches:
        batch_bytes = sum(batch.column(name).nbytes for name in PAYLOADS)
        if held and (rows + len(batch) > GROUP_ROWS or size_bytes + batch_bytes > GROUP_BYTES):
            yield pa.Table.from_batches(held)
            held, rows, size_bytes = [], 0, 0
        held.append(batch)
        rows += len(batch)
        size_bytes += batch_bytes
    if held:
        yield pa.Table.from_batches(held)
