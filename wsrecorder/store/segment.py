"""A sealed segment: one immutable Parquet file of consecutive events.

It is written under a temporary name, synced, renamed, its folder synced, and read back in full. Only
then may its journal go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from wsrecorder.errors import SegmentDamaged
from wsrecorder.store import disk
from wsrecorder.store.schema import SCHEMA

__all__ = ["Segment", "SegmentInfo", "check_segment", "segment_metadata", "write_segment"]

_GROUP_ROWS: Final = 65_536
_GROUP_BYTES: Final = 16 << 20

_INTEGERS: Final = ("seq", "elapsed_ns", "received_ns", "received_at", "sent_at")
_WORDS: Final = ("kind", "conn", "direction", "type")
_PAYLOADS: Final = ("text", "binary", "detail")


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


def write_segment(batches: Iterable[pa.RecordBatch], path: Path, metadata: dict[str, str]) -> SegmentInfo:
    """Write record batches of `SCHEMA` as a segment, and read it back.

    At most one row group is held in memory at a time.

    Args:
        batches: At least one event, in order.
        path: Its final name.
        metadata: Goes into the footer, so that the manifest can be rebuilt from it.

    Raises:
        StorageError: The disk refuses; nothing goes by the final name then.
        SegmentDamaged: What was read back is not what was written.
    """
    temporary = path.with_name(path.name + ".tmp")
    with disk.storage_errors(path):
        rows = 0
        with temporary.open("wb") as file:
            with _writer(file, metadata) as writer:
                for group in _row_groups(batches):
                    writer.write_table(group, row_group_size=_GROUP_ROWS)
                    rows += group.num_rows
            disk.sync(file)
    disk.publish(temporary, path)
    info = check_segment(path)
    if info.rows != rows:
        raise SegmentDamaged(
            f"{path} holds {info.rows} events, {rows} were written",
            hint="check the disk; the journal beside it still holds them",
        )
    return info


def _writer(file: object, metadata: dict[str, str]) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        file,
        SCHEMA.with_metadata(metadata),
        compression="zstd",
        compression_level=1,
        use_dictionary=list(_WORDS),
        # Sequence and times grow by small steps: their differences take a fraction of the bytes.
        column_encoding=dict.fromkeys(_INTEGERS, "DELTA_BINARY_PACKED"),
        # Smallest and largest payload would only repeat payloads.
        write_statistics=[*_INTEGERS, *_WORDS],
        write_page_index=True,
        write_page_checksum=True,
        store_schema=True,
    )


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield tables of about 64k rows or 16 MiB of payload, whichever is first."""
    held: list[pa.RecordBatch] = []
    rows = size_bytes = 0
    for batch in batches:
        batch_bytes = sum(batch.column(name).nbytes for name in _PAYLOADS)
        if held and (rows + len(batch) > _GROUP_ROWS or size_bytes + batch_bytes > _GROUP_BYTES):
            yield pa.Table.from_batches(held)
            held, rows, size_bytes = [], 0, 0
        held.append(batch)
        rows += len(batch)
        size_bytes += batch_bytes
    if held:
        yield pa.Table.from_batches(held)


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed segment, opened by its footer.

    Args:
        path: The Parquet file.

    Raises:
        SegmentDamaged: It is missing or its footer cannot be read.
    """

    path: Path
    _file: pq.ParquetFile = field(init=False, repr=False)

    def __post_init__(self) -> None:
        with _damage(self.path):
            # Pages are checked as they are read: bad memory or a bad disk is found, not replayed.
            opened = pq.ParquetFile(self.path, page_checksum_verification=True)
        object.__setattr__(self, "_file", opened)

    @property
    def rows(self) -> int:
        """Events in it."""
        return int(self._file.metadata.num_rows)

    @property
    def metadata(self) -> dict[str, str]:
        """What the writer left in the footer."""
        return segment_metadata(self._file)

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
        with _damage(self.path):
            yield from self._file.iter_batches(
                batch_size=batch_rows, row_groups=groups, columns=columns, use_threads=False
            )

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


def segment_metadata(file: pq.ParquetFile) -> dict[str, str]:
    """Return the session's own entries of a Parquet footer."""
    found = file.schema_arrow.metadata or {}
    return {key.decode(): value.decode() for key, value in found.items()}


def check_segment(path: Path) -> SegmentInfo:
    """Read a segment back in full and return what it holds.

    Raises:
        SegmentDamaged: It is missing, a page cannot be read, or its sequence has a hole.
    """
    segment = Segment(path)
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
        expected += len(batch)
        rows += len(batch)
        last_elapsed_ns = elapsed_ns[-1].as_py()
    if first is None:
        raise SegmentDamaged(f"{path} holds no events, expected at least one", hint="remove it; nothing is lost")
    return SegmentInfo(
        name=path.name,
        rows=rows,
        size_bytes=path.stat().st_size,
        first_seq=first[0],
        first_elapsed_ns=first[1],
        last_elapsed_ns=last_elapsed_ns,
        sha256=_sha256(path),
    )


def _check_sequence(path: Path, seq: pa.Array, expected: int) -> None:
    wanted = pa.array(range(expected, expected + len(seq)), pa.int64())
    if not seq.equals(wanted):
        found = next(value for value, want in zip(seq.to_pylist(), wanted.to_pylist(), strict=True) if value != want)
        raise SegmentDamaged(
            f"{path} goes on with event {found} where {wanted[seq.to_pylist().index(found)].as_py()} was expected",
            hint="restore the file from a copy; the segments before it are intact",
        )


def _sha256(path: Path) -> str:
    with disk.storage_errors(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _damage:
    """Translate what Arrow says of a file that it cannot read into `SegmentDamaged`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, exc: BaseException | None, traceback: object) -> None:
        if isinstance(exc, FileNotFoundError):
            raise SegmentDamaged(
                f"{self._path} is missing, the session lists it",
                hint='restore it from a copy; "wsrec verify" names all that is wrong',
            ) from exc
        if isinstance(exc, (pa.ArrowException, OSError, UnicodeDecodeError)):
            raise SegmentDamaged(
                f"{self._path} cannot be read: {str(exc).splitlines()[0]}",
                hint='restore it from a copy; "wsrec verify" names all that is wrong',
            ) from exc
