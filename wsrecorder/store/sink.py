"""Where a recording's batches go: a folder of segments, or a DuckDB file.

A sink is used by one thread. Sealing runs on a thread of its own, from the journal and a row group at
a time, so that neither memory nor the journal of the next segment waits for it::

    append ---> journal 7 ---64 MiB or 5 min---> sealer: segment 7, manifest, journal 7 removed
                journal 8 <--- append goes on meanwhile
"""

from __future__ import annotations

import queue
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import pyarrow as pa

from wsrecorder.core.recorder import Limits
from wsrecorder.errors import SessionError, StorageError, WsrecError
from wsrecorder.store import disk
from wsrecorder.store.duckdb_file import DuckDbWriter
from wsrecorder.store.journal import JournalReader, JournalWriter
from wsrecorder.store.lock import SessionLock
from wsrecorder.store.manifest import MANIFEST_NAME, Health, Identity, Manifest, Tally
from wsrecorder.store.segment import SegmentInfo, write_segment
from wsrecorder.store.session import EVENTS_FOLDER, JOURNAL_SUFFIX, SEGMENT_SUFFIX

__all__ = ["DuckDbSink", "ParquetSink", "Sink", "seal_journal"]

_MOST_UNSEALED: Final = 64
"""Journals that may wait for the sealer; a recording that outruns it by more waits for the disk."""


class Sink(Protocol):
    """Takes a session's events in order and keeps them."""

    tally: Tally
    manifest: Manifest

    @property
    def path(self) -> Path:
        """Where the session is kept."""
        ...

    @property
    def size_bytes(self) -> int:
        """Bytes on disk so far."""
        ...

    def append(self, batch: pa.RecordBatch) -> None:
        """Keep a batch; it is safe when the call returns."""
        ...

    def close(self, health: Health) -> Manifest:
        """Seal the session and return its manifest."""
        ...

    def abandon(self) -> None:
        """Let go after an error; what was kept stays readable."""
        ...


class ParquetSink:
    """Writes a session into a folder of its own, which it locks against other writers until it is closed.

    Args:
        path: The session's folder, with its folder of events.
        identity: What the session is.
        limits: When a journal is sealed.
        sync: Whether each batch is synced to the disk.

    Raises:
        SessionError: Another writer is there, or a session is.
        StorageError: The disk refuses.
    """

    def __init__(self, path: Path, identity: Identity, limits: Limits, *, sync: bool = True) -> None:
        self.path = path
        self.tally = Tally()
        self.manifest = Manifest(identity=identity)
        self._limits = limits
        self._sync = sync
        self._metadata = identity.to_metadata()
        self._journal: JournalWriter | None = None
        self._journal_began_ns = 0
        self._number = 0
        self._lock = SessionLock(path)
        try:
            _check_is_new(path)
            self.manifest.write(path)
        except BaseException:
            self._lock.release()
            raise
        self._sealer = _Sealer(path, self.manifest, self._metadata)

    @property
    def size_bytes(self) -> int:
        """Bytes on disk so far: segments, and journals not sealed yet."""
        journal_bytes = self._journal.size_bytes if self._journal else 0
        return self._sealer.segment_bytes + self._sealer.waiting_bytes + journal_bytes

    def append(self, batch: pa.RecordBatch) -> None:
        """Keep a batch of `SCHEMA`, in order; it is safe when the call returns.

        Raises:
            StorageError: The disk refuses; all batches before are safe.
        """
        self._sealer.check()
        if self._journal is None:
            path = self.path / EVENTS_FOLDER / f"{self._number:06d}{JOURNAL_SUFFIX}"
            self._journal = JournalWriter(path, self._metadata, sync=self._sync)
            self._journal_began_ns = batch.column("elapsed_ns")[0].as_py()
        self._journal.append(batch)
        self.tally.add(batch)
        age_ns = self.tally.last_elapsed_ns - self._journal_began_ns
        if self._journal.size_bytes >= self._limits.segment_bytes or age_ns >= self._limits.segment_ns:
            self._rotate()

    def close(self, health: Health) -> Manifest:
        """Seal what is left and write the final manifest.

        Raises:
            StorageError: The disk refuses; what was appended is still in a journal.
            SegmentDamaged: The disk does not give back what it was given.
        """
        try:
            self._rotate()
            self._sealer.finish()
            self.manifest.count(self.tally)
            self.manifest.health = health
            self.manifest.sealed = True
            self.manifest.write(self.path)
        finally:
            self.abandon()
        return self.manifest

    def abandon(self) -> None:
        """Let go after an error: journals stay as they are, "wsrec recover" seals them."""
        if self._journal is not None:
            self._journal.abandon()
            self._journal = None
        self._sealer.stop()
        self._lock.release()

    def _rotate(self) -> None:
        if self._journal is None:
            return
        journal, self._journal = self._journal, None
        journal.close()
        counted = Manifest(identity=self.manifest.identity)
        counted.count(self.tally)
        self._sealer.put(
            _Sealing(journal.path, journal.rows, journal_bytes=journal.path.stat().st_size, counted=counted)
        )
        self._number += 1


@dataclass(frozen=True, slots=True)
class _Sealing:
    """A journal to be sealed.

    Attributes:
        path: The closed journal.
        rows: Events in it.
        journal_bytes: Its size.
        counted: The session's counts up to its end.
    """

    path: Path
    rows: int
    journal_bytes: int
    counted: Manifest


class _Sealer:
    """Seals journals one after the other, on a thread of its own.

    The first error stops it for good: journals are left where they are, and `check` raises it.
    """

    def __init__(self, path: Path, manifest: Manifest, metadata: dict[str, str]) -> None:
        self.segment_bytes = 0
        self.waiting_bytes = 0
        self._path = path
        self._manifest = manifest
        self._metadata = metadata
        self._error: WsrecError | None = None
        self._waiting: queue.Queue[_Sealing | None] = queue.Queue(_MOST_UNSEALED)
        self._thread = threading.Thread(target=self._run, name="wsrec-sealer", daemon=True)
        self._thread.start()

    def put(self, sealing: _Sealing) -> None:
        self.waiting_bytes += sealing.journal_bytes
        self._waiting.put(sealing)

    def check(self) -> None:
        """Raise what stopped the sealer, if anything did."""
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Wait until everything that waits is sealed, or was given up; nothing happens the second time."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()

    def finish(self) -> None:
        self.stop()
        self.check()

    def _run(self) -> None:
        while (sealing := self._waiting.get()) is not None:
            if self._error is None:
                try:
                    self._seal(sealing)
                except WsrecError as exc:
                    self._error = exc
                except Exception as exc:  # whatever it is, the recorder must hear of it instead of waiting for ever
                    self._error = StorageError(
                        f"sealing {sealing.path} failed: {exc!r}", hint='the journal is intact; try "wsrec recover"'
                    )
                    self._error.__cause__ = exc

    def _seal(self, sealing: _Sealing) -> None:
        info = seal_journal(sealing.path, self._metadata, rows=sealing.rows)
        counted, manifest = sealing.counted, self._manifest
        for name in ("events", "messages", "size_bytes", "types", "connections", "gaps", "last_elapsed_ns"):
            setattr(manifest, name, getattr(counted, name))
        manifest.segments.append(info)
        manifest.write(self._path)
        disk.remove(sealing.path)
        self.segment_bytes += info.size_bytes
        self.waiting_bytes -= sealing.journal_bytes


def seal_journal(path: Path, metadata: dict[str, str], *, rows: int) -> SegmentInfo:
    """Write the segment of a journal; the journal stays, to be removed when the manifest knows.

    Args:
        path: The journal.
        metadata: For the segment's footer.
        rows: How many events its whole batches must hold.

    Raises:
        StorageError: The disk refuses.
        SegmentDamaged: The journal does not give back that many, or the segment does not; there is none then.
    """
    with closing(JournalReader(path)) as journal:
        return write_segment(journal, path.with_suffix(SEGMENT_SUFFIX), metadata, rows=rows)


def _check_is_new(path: Path) -> None:
    held = disk.list_names(path / EVENTS_FOLDER)
    if held or (path / MANIFEST_NAME).exists():
        raise SessionError(
            f"{path} holds a session already; a recording is never written into another",
            hint="record into a new folder",
        )


class DuckDbSink:
    """Writes a session into a new DuckDB file.

    Args:
        path: Must not be there yet.
        identity: What the session is.

    Raises:
        StorageError: The disk refuses, or something is there already.
    """

    def __init__(self, path: Path, identity: Identity) -> None:
        self.tally = Tally()
        self._writer = DuckDbWriter(path, identity)
        self.manifest = self._writer.manifest

    @property
    def path(self) -> Path:
        """Where the session is kept."""
        return self._writer.path

    @property
    def size_bytes(self) -> int:
        """Bytes on disk so far."""
        return self._writer.size_bytes

    def append(self, batch: pa.RecordBatch) -> None:
        """Keep a batch of `SCHEMA`, in a transaction of its own."""
        self._writer.append(batch)
        self.tally.add(batch)

    def close(self, health: Health) -> Manifest:
        """Write the final manifest and let go of the file."""
        self.manifest.count(self.tally)
        self.manifest.health = health
        self.manifest.sealed = True
        self._writer.close()
        return self.manifest

    def abandon(self) -> None:
        """Let go after an error; the batches before stay readable."""
        self._writer.abandon()
