"""A sealed segment: one immutable Parquet file of consecutive events.

It is written under a temporary name, synced, read back in full, renamed, and its folder synced. Only
then may its journal go: whatever has a segment's name was readable to the last byte once.

Parquet's own checksums cover pages, not what leads to them, and Arrow trusts the footer so far that a
damaged one can end the process. So the footer holds a checksum over the whole file, and a segment is
opened only after that was found right.

In object storage the store itself answers for the bytes, which were compared when they came there: a segment
is opened by its footer alone, and only the row groups and columns that are wanted are fetched, one row group
ahead of the reader. Checksums of pages are looked at there too; `check_segment` reads everything back.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from wsrecorder.errors import SegmentDamaged
from wsrecorder.store import disk, stamp
from wsrecorder.store.object_file import ObjectFile
from wsrecorder.store.place import ObjectPath, Place
from wsrecorder.store.schema import SCHEMA, check_version

__all__ = [
    "GROUP_BYTES",
    "GROUP_ROWS",
    "INTEGERS",
    "PAYLOADS",
    "WORDS",
    "Segment",
    "SegmentInfo",
    "check_segment",
    "damage_explained",
]

GROUP_ROWS: Final = 65_536
"""Most events of a row group."""

GROUP_BYTES: Final = 16 << 20
"""About so many bytes of payload make a row group, whatever comes first."""

INTEGERS: Final = ("seq", "elapsed_ns", "received_ns", "received_at", "sent_at")
"""Columns that are kept as the differences from row to row."""

WORDS: Final = ("kind", "conn", "direction", "type")
"""Columns with a dictionary."""

PAYLOADS: Final = ("text", "binary", "detail")
"""Columns of whatever came."""


class SegmentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the manifest says of a segment.

    Attributes:
        name: File name, such as ``000007.parquet``.
        rows: Events in it.
        size_bytes: Size of the file.
        first_seq: Sequence number of its first event.
        first_elapsed_ns: When its first event came, ns since the session began.
        last_elapsed_ns: When its last event came.
        sha256: Digest of the file, hexadecimal.
    """

    name: str
    rows: int
    size_bytes: int
    first_seq: int
    first_elapsed_ns: int
    last_elapsed_ns: int
    sha256: str

    @property
    def next_seq(self) -> int:
        """Sequence number of the event after its last."""
        return self.first_seq + self.rows


class Segment:
    """A sealed segment, opened after its checksum was found right.

    Args:
        path: The Parquet file.
        content: All of it, where it was read already.

    Raises:
        SegmentDamaged: It is missing, or not as it was written.
        FormatTooNew: A newer wsrec wrote it.
    """

    def __init__(self, path: Place, content: bytes | None = None) -> None:
        self.path = path
        self._object: ObjectFile | None = None
        with damage_explained(path):
            source: object = path
            if content is not None:
                stamp.check_file(io.BytesIO(content), path)
                source = pa.BufferReader(content)
            elif isinstance(path, ObjectPath):
                source = self._object = ObjectFile(path)
            else:
                stamp.check(path)
            # Pages are checked as they are read too: what the memory damages in between is found, not replayed.
            # Arrow must not read ahead of us as well: its threads would call a file of ours, one of them perhaps while
            # the interpreter ends, which ends the process.
            reads_ahead = self._object is None
            self._file = pq.ParquetFile(source, page_checksum_verification=True, pre_buffer=reads_ahead)
        check_version(self.metadata.get("wsrec.format_version", ""), path)

    @property
    def rows(self) -> int:
        """Events in it."""
        return int(self._file.metadata.num_rows)

    @property
    def metadata(self) -> dict[str, str]:
        """What the writer left in the footer."""
        with damage_explained(self.path):
            found = self._file.schema_arrow.metadata or {}
            return {key.decode(): value.decode() for key, value in found.items()}

    def layout_faults(self) -> Iterator[str]:
        """Yield where the file is not laid out as ``docs/format.md`` says, readable or not."""
        meta = self._file.metadata
        for index in range(meta.num_row_groups):
            group = meta.row_group(index)
            if group.num_rows > GROUP_ROWS:
                yield f"row group {index} has {group.num_rows} rows, expected at most {GROUP_ROWS}"
            for column in map(group.column, range(group.num_columns)):
                yield from (f"column {column.path_in_schema} of row group {index} {fault}" for fault in _faults(column))

    def batches(
        self, columns: list[str], *, from_seq: int = 0, start_ns: int | None = None, end_ns: int | None = None,
        batch_rows: int = 16_384,
    ) -> Iterator[pa.RecordBatch]:  # fmt: skip
        """Yield its events as record batches, whole row groups left out where their statistics allow.

        Args:
            columns: Which columns, of `SCHEMA`.
            from_seq: Row groups that end before this sequence number are left out.
            start_ns: Row groups that end before this time are left out, ns since the session began.
            end_ns: Row groups that begin at or after this time are left out.
            batch_rows: Most rows a batch.

        Raises:
            SegmentDamaged: A page cannot be read or its checksum is wrong.
        """
        groups = [
            index
            for index in range(self._file.num_row_groups)
            if self._may_hold(index, from_seq=from_seq, start_ns=start_ns, end_ns=end_ns)
        ]
        if not groups:
            return
        with damage_explained(self.path):
            for wanted in [groups] if self._object is None else self._fetched(groups, columns):
                yield from self._file.iter_batches(
                    batch_size=batch_rows, row_groups=wanted, columns=columns, use_threads=False
                )

    def _fetched(self, groups: list[int], columns: list[str]) -> Iterator[list[int]]:
        """Yield row groups one by one, while the one after it is on its way."""
        assert self._object is not None
        places = [self._places(group, columns) for group in groups]
        self._object.fetch(places[0])
        for index, group in enumerate(groups):
            if index + 1 < len(groups):
                self._object.fetch(places[index + 1])
            yield [group]
            self._object.forget(max(end for _, end in places[index]))

    def _places(self, group: int, columns: list[str]) -> list[tuple[int, int]]:
        """Return where the columns of a row group are in the file."""
        meta = self._file.metadata.row_group(group)
        chunks = [meta.column(SCHEMA.get_field_index(name)) for name in columns]
        return [
            (start := column.dictionary_page_offset or column.data_page_offset, start + column.total_compressed_size)
            for column in chunks
        ]

    def _may_hold(self, group: int, *, from_seq: int, start_ns: int | None, end_ns: int | None) -> bool:
        meta = self._file.metadata.row_group(group)
        seq = meta.column(SCHEMA.get_field_index("seq")).statistics
        elapsed = meta.column(SCHEMA.get_field_index("elapsed_ns")).statistics
        if seq is None or elapsed is None:
            return True
        return not (
            seq.max < from_seq
            or (start_ns is not None and elapsed.max < start_ns)
            or (end_ns is not None and elapsed.min >= end_ns)
        )


def _faults(column: pq.ColumnChunkMetaData) -> Iterator[str]:
    name = column.path_in_schema
    if column.compression != "ZSTD":
        yield f"is compressed by {column.compression}, expected ZSTD"
    if name in INTEGERS and "DELTA_BINARY_PACKED" not in column.encodings:
        yield f"is encoded as {', '.join(column.encodings)}, expected DELTA_BINARY_PACKED"
    if name in PAYLOADS and column.has_dictionary_page:
        yield "has a dictionary, expected none on payloads"
    if name not in PAYLOADS and not column.is_stats_set:
        yield "has no statistics"
    if not column.has_offset_index:
        yield "has no page index"


def check_segment(
    path: Place, visit: Callable[[pa.RecordBatch], object] = lambda batch: None, content: bytes | None = None
) -> SegmentInfo:
    """Read a segment back in full and return what it holds.

    Args:
        path: The Parquet file.
        visit: Called with each record batch.
        content: All of it, where it was read already.

    Raises:
        SegmentDamaged: It is missing, cannot be read, or its sequence has a hole.
        FormatTooNew: A newer wsrec wrote it.
    """
    if content is None and isinstance(path, ObjectPath):
        with damage_explained(path):
            content = path.read_bytes()
    segment = Segment(path, content)
    first: tuple[int, int] | None = None
    expected = last_elapsed_ns = rows = 0
    for batch in segment.batches(list(SCHEMA.names)):
        if not batch.schema.equals(SCHEMA):
            raise SegmentDamaged(f"{path} has columns of another format", hint="see docs/format.md for the columns")
        seq = batch.column("seq")
        elapsed_ns = batch.column("elapsed_ns")
        if first is None:
            first = seq[0].as_py(), elapsed_ns[0].as_py()
            expected = first[0]
        _check_sequence(path, seq, expected)
        visit(batch)
        expected += len(batch)
        rows += len(batch)
        last_elapsed_ns = elapsed_ns[-1].as_py()
    if first is None:
        raise SegmentDamaged(f"{path} holds no events, expected at least one", hint="remove it; nothing is lost")
    size_bytes, sha256 = _digest(path, content)
    return SegmentInfo(
        name=path.name,
        rows=rows,
        size_bytes=size_bytes,
        first_seq=first[0],
        first_elapsed_ns=first[1],
        last_elapsed_ns=last_elapsed_ns,
        sha256=sha256,
    )


def _check_sequence(path: Place, seq: pa.Array, expected: int) -> None:
    if seq.equals(pa.array(range(expected, expected + len(seq)), pa.int64())):
        return
    for found, wanted in zip(seq.to_pylist(), range(expected, expected + len(seq)), strict=True):
        if found != wanted:
            raise SegmentDamaged(
                f"{path} goes on with event {found} where event {wanted} was expected",
                hint="restore it from a copy; the segments before it are intact",
            )


def _digest(path: Place, content: bytes | None) -> tuple[int, str]:
    """Return the size and the SHA-256 of a file, of which the content may have been read already."""
    if content is not None:
        return len(content), hashlib.sha256(content).hexdigest()
    assert isinstance(path, Path)
    with disk.storage_errors(path), path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def damage_explained(path: Place) -> Iterator[None]:
    """Translate what Arrow says of a file that it cannot read into `SegmentDamaged`."""
    try:
        yield
    except FileNotFoundError as exc:
        raise SegmentDamaged(f"{path} is missing, the session lists it", hint=stamp.RESTORE) from exc
    except (pa.ArrowException, OSError, UnicodeDecodeError) as exc:
        reason = str(exc).splitlines() or [type(exc).__name__]
        raise SegmentDamaged(f"{path} cannot be read: {reason[0]}", hint=stamp.RESTORE) from exc
