"""The open segment: an append-only Arrow IPC stream that survives a crash.

Each record batch carries the number of its first event and a checksum over its buffers in its own
metadata, since IPC has neither. A journal may end anywhere: a process was killed, the disk was full,
or it is being written right now. A reader takes whole batches from the start and stops at the first
that is cut, damaged, or out of sequence: what it yields is always a prefix of what was written.

Arrow takes the end of the file for the end of the stream, and 8 zero bytes as well. Only the marker that
`JournalWriter.close` leaves is an end; anything else after the last whole batch is a cut tail.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import ipc

from wsrecorder.errors import FormatTooNew, SegmentDamaged, StorageError
from wsrecorder.store import disk
from wsrecorder.store.schema import SCHEMA, check_version

__all__ = ["JournalInfo", "JournalReader", "JournalWriter", "check_journal"]

_FIRST_SEQ: Final = b"wsrec.first_seq"
_CHECKSUM: Final = b"wsrec.crc32"
_END: Final = b"\xff\xff\xff\xff\0\0\0\0"


class JournalWriter:
    """Appends record batches to a new journal, each synced to the disk before the call returns.

    Attributes:
        path: The journal.
        rows: Events that were appended.
        safe_bytes: Where the last batch that was appended ends.

    Args:
        path: Must not be there yet.
        metadata: What a reader without a manifest needs to know; kept in the stream's schema.
        sync: Whether to sync each batch.

    Raises:
        StorageError: The disk refuses; there is no journal then.
    """

    def __init__(self, path: Path, metadata: dict[str, str], *, sync: bool = True) -> None:
        self.path = path
        self.rows = 0
        self.safe_bytes = 0
        self._sync = sync
        self._file = disk.create(path)  # only to sync: any descriptor of a file syncs all of it
        self._sink: pa.NativeFile | None = None
        try:
            with disk.storage_errors(path):
                self._sink = disk.open_for_arrow(path)
                # lz4 costs less than the bytes it saves the disk; one thread, for the cores are spoken for.
                options = ipc.IpcWriteOptions(compression="lz4", use_threads=False)
                self._stream = ipc.new_stream(self._sink, SCHEMA.with_metadata(metadata), options=options)
                disk.sync(self._file)
                disk.sync_directory(path.parent)
        except StorageError:
            self.abandon()
            disk.discard(path)
            raise
        self.safe_bytes = self.size_bytes

    @property
    def size_bytes(self) -> int:
        """Bytes written so far."""
        assert self._sink is not None
        return int(self._sink.tell())

    @property
    def is_there(self) -> bool:
        """Whether the file still stands where it was made; what is appended to one that does not is lost."""
        return disk.is_there(self._file, self.path)

    def append(self, batch: pa.RecordBatch) -> None:
        """Write a batch and sync it.

        Raises:
            StorageError: The disk refuses; the batches before are intact.
        """
        marks = {_FIRST_SEQ: str(batch.column("seq")[0].as_py()).encode(), _CHECKSUM: _checksum(batch)}
        with disk.storage_errors(self.path):
            self._stream.write_batch(batch, custom_metadata=pa.KeyValueMetadata(marks))
            if self._sync:
                disk.sync(self._file)
        self.rows += len(batch)
        self.safe_bytes = self.size_bytes

    def close(self) -> None:
        """End the stream; the journal is complete.

        Raises:
            StorageError: The disk refuses; what was synced stays readable.
        """
        try:
            with disk.storage_errors(self.path):
                self._stream.close()
                assert self._sink is not None
                self._sink.close()
                disk.sync(self._file)
                self._file.close()
        except StorageError:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Let go of the file after an error, as it is: what was synced stays readable."""
        with suppress(OSError):
            if self._sink is not None:
                self._sink.close()
        self._file.close()

    def cut_back(self) -> None:
        """Let go of the file after an error and cut it to the batches that were appended.

        What an append that failed has left may be nothing, a part or all of its batch, of which nobody knows what
        the disk has: after a failed sync the system may take pages for written that are not. So it goes, and the
        batch can be written anew elsewhere without being there twice. May be called again where it fails.

        Raises:
            StorageError: The disk refuses.
        """
        self.abandon()
        disk.truncate(self.path, self.safe_bytes)


class JournalReader:
    """Reads the whole batches of a journal, one at a time.

    Attributes:
        metadata: What the writer left there; empty when the journal has not even a header.
        whole_bytes: Where the last whole batch ends, or the header when there is none.
        size_bytes: Size of the file when it was opened.
        trouble: Why reading ended before the end of the file, or None.

    Args:
        path: The journal.

    Raises:
        FileNotFoundError: It was sealed away meanwhile.
        StorageError: The disk refuses.
        FormatTooNew: A newer wsrec wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.whole_bytes = 0
        self.trouble: str | None = None
        self.metadata: dict[str, str] = {}
        try:
            # No mapping: a file that shrinks under a mapping kills the process.
            self._source = pa.OSFile(str(path), "r")
        except FileNotFoundError:
            raise
        except OSError:
            with disk.storage_errors(path):
                raise
        self.size_bytes: int = self._source.size()
        self._stream = self._open()
        try:
            check_version(self.metadata.get("wsrec.format_version", ""), path)
        except FormatTooNew:
            self.close()
            raise
        except SegmentDamaged:
            pass  # batches have checksums of their own: without a sound header they are readable all the same

    def _open(self) -> ipc.RecordBatchStreamReader | None:
        """Read the header; without one there are no batches."""
        if not self.size_bytes:
            return None
        try:
            stream = ipc.open_stream(self._source)
        except (pa.ArrowException, OSError) as exc:
            self._stop(exc)
            return None
        found = stream.schema.metadata or {}
        self.metadata = {key.decode(errors="replace"): value.decode(errors="replace") for key, value in found.items()}
        self.whole_bytes = self._source.tell()
        if not stream.schema.equals(SCHEMA):
            self.trouble = "its columns are of another format"
            return None
        return stream

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield whole batches in order; ends without an error at a cut, see ``trouble``."""
        expected: int | None = None
        while self._stream is not None:
            try:
                batch, marks = self._stream.read_next_batch_with_custom_metadata()
            except StopIteration:
                self._finish()
                return
            except (pa.ArrowException, OSError, ValueError) as exc:
                self._stop(exc)
                return
            if not _is_whole(batch, marks, expected):
                self.trouble = "a batch's checksum or sequence does not match"
                return
            expected = batch.column("seq")[0].as_py() + len(batch)
            self.whole_bytes = self._source.tell()
            yield batch

    @property
    def cut_bytes(self) -> int:
        """Bytes after the last whole batch that could not be read; valid once iteration has ended."""
        return max(0, self.size_bytes - self.whole_bytes) if self.trouble else 0

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()

    def _finish(self) -> None:
        """Tell an end from a cut: what follows the last whole batch is the marker, nothing, or a cut tail."""
        self._source.seek(self.whole_bytes)
        rest = self._source.read(len(_END) + 1)
        if rest == _END:
            self.whole_bytes += len(rest)
        elif rest:
            self.trouble = f"{max(self.size_bytes - self.whole_bytes, len(rest))} bytes after the last whole batch"

    def _stop(self, exc: Exception) -> None:
        self.trouble = (str(exc).splitlines() or [type(exc).__name__])[0]


@dataclass(frozen=True, slots=True)
class JournalInfo:
    """What a journal holds.

    Attributes:
        rows: Events in its whole batches.
        first_seq: Sequence number of the first of them; 0 when there is none.
        last_elapsed_ns: When the last of them came, ns since the session began.
        cut_bytes: Bytes after them that cannot be read.
        trouble: Why they cannot be read, or None.
    """

    rows: int
    first_seq: int
    last_elapsed_ns: int
    cut_bytes: int
    trouble: str | None

    @property
    def next_seq(self) -> int:
        """Sequence number of the event after its last."""
        return self.first_seq + self.rows


def check_journal(path: Path, visit: Callable[[pa.RecordBatch], object] = lambda batch: None) -> JournalInfo:
    """Read a journal as far as it is whole and return what it holds.

    Args:
        path: The journal.
        visit: Called with each record batch.

    Raises:
        FileNotFoundError: It was sealed away meanwhile.
        StorageError: The disk refuses.
        FormatTooNew: A newer wsrec wrote it.
    """
    rows = first_seq = last_elapsed_ns = 0
    with closing(JournalReader(path)) as journal:
        for batch in journal:
            if not rows:
                first_seq = batch.column("seq")[0].as_py()
            rows += len(batch)
            last_elapsed_ns = batch.column("elapsed_ns")[-1].as_py()
            visit(batch)
        return JournalInfo(rows, first_seq, last_elapsed_ns, journal.cut_bytes, journal.trouble)


def _is_whole(batch: pa.RecordBatch, marks: pa.KeyValueMetadata | None, expected_seq: int | None) -> bool:
    """Return whether a batch is as it was written, and the one that follows."""
    try:
        # Offsets first: following damaged ones would read memory that is not ours.
        batch.validate()
        for column in batch.columns:
            if pa.types.is_dictionary(column.type):
                column.dictionary.validate(full=True)
        if marks is None or len(batch) == 0 or marks.get(_CHECKSUM) != _checksum(batch):
            return False
    except (pa.ArrowException, TypeError, ValueError):  # damage of a kind that even serialising trips over
        return False
    first_seq = batch.column("seq")[0].as_py()
    return marks.get(_FIRST_SEQ) == str(first_seq).encode() and expected_seq in (None, first_seq)


def _checksum(batch: pa.RecordBatch) -> bytes:
    """Return the CRC-32 over a batch's IPC body, and over the words of its dictionaries.

    The body (buffers in schema order, each padded to 8 bytes) is fixed by the IPC format, and brings
    buffers into one form: slices cut, unused ones dropped. The header before it is left out, since
    another release of Arrow may lay it out in another way.
    """
    message = memoryview(batch.serialize())
    body_start = 8 + int.from_bytes(message[4:8], "little")
    # The header's own numbers, by meaning: which rows are null decides what the body says.
    nulls = ",".join(str(column.null_count) for column in batch.columns)
    crc = zlib.crc32(message[body_start:], zlib.crc32(f"{len(batch)};{nulls}".encode()))
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            crc = zlib.crc32("\0".join(column.dictionary.to_pylist()).encode(), crc)
    return f"{crc:08x}".encode()
