"""Where a recording's batches go: a folder of segments, or a DuckDB file.

A sink is used by one thread. Sealing runs on a thread of its own, from the journal and a row group at
a time, so that neither memory nor the journal of the next segment waits for it::

    append ---> journal 7 ---64 MiB or 5 min---> sealer: segment 7, manifest, journal 7 removed
                journal 8 <--- append goes on meanwhile

A disk that refuses ends nothing by itself. An append that failed has kept nothing: the journal is cut back to what
was synced, and the next append begins another. A seal that failed is tried again a second of the session later;
until it is done the open journal grows, whatever its size.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from wsrecorder.core.recorder import Limits
from wsrecorder.errors import SegmentDamaged, SessionError, StorageError
from wsrecorder.store import disk
from wsrecorder.store.duckdb_file import DuckDbWriter
from wsrecorder.store.journal import JournalWriter
from wsrecorder.store.lock import SessionLock
from wsrecorder.store.manifest import MANIFEST_NAME, Health, Identity, Manifest, Tally
from wsrecorder.store.place import Place
from wsrecorder.store.sealer import Sealer, Sealing
from wsrecorder.store.session import EVENTS_FOLDER, JOURNAL_SUFFIX

__all__ = ["DuckDbSink", "ParquetSink", "Sink"]


class Sink(Protocol):
    """Takes a session's events in order and keeps them."""

    tally: Tally
    manifest: Manifest

    @property
    def path(self) -> Place:
        """Where the session is kept."""
        ...

    @property
    def on_disk(self) -> Path:
        """What of this machine's disk it writes to."""
        ...

    @property
    def trouble(self) -> StorageError | None:
        """What keeps the disk from sealing what was appended; None while nothing does."""
        ...

    @property
    def size_bytes(self) -> int:
        """Bytes on disk so far."""
        ...

    def append(self, batch: pa.RecordBatch) -> None:
        """Keep a batch; it is safe when the call returns.

        Raises:
            StorageError: The disk refuses; nothing of the batch is kept, and it may be appended again.
            WsrecError: Nothing more can be appended.
        """
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
        on_sealed: Told the manifest whenever a segment was sealed, on the sealer's thread; nobody changes it any more.

    Raises:
        SessionError: Another writer is there, or a session is.
        StorageError: The disk refuses.
    """

    def __init__(
        self, path: Path, identity: Identity, limits: Limits, *, sync: bool = True,
        on_sealed: Callable[[Manifest], None] | None = None,
    ) -> None:  # fmt: skip
        self.path = path
        self._keeps_segments = on_sealed is None  # whoever is told of them may take them elsewhere
        self.tally = Tally()
        self.manifest = Manifest(identity=identity)
        self._limits = limits
        self._sync = sync
        self._metadata = identity.to_metadata()
        self._journal: JournalWriter | None = None
        self._broken: JournalWriter | None = None  # refused something; to be cut back before anything goes on
        self._journal_began_ns = 0
        self._number = 0
        self._lock = SessionLock(path)
        try:
            _check_is_new(path)
            self.manifest.write(path)
        except BaseException:
            self._lock.release()
            raise
        self._sealer = Sealer(path, self.manifest, self._metadata, on_sealed or (lambda manifest: None))

    @property
    def on_disk(self) -> Path:
        """The session's folder."""
        return self.path

    @property
    def size_bytes(self) -> int:
        """Bytes on disk so far: segments, and journals not sealed yet."""
        journal_bytes = self._journal.size_bytes if self._journal else 0
        return self._sealer.segment_bytes + self._sealer.waiting_bytes + journal_bytes

    @property
    def trouble(self) -> StorageError | None:
        """What keeps the disk from sealing what was appended; None while nothing does."""
        return self._sealer.refusal

    def append(self, batch: pa.RecordBatch) -> None:
        """Keep a batch of `SCHEMA`, in order; it is safe when the call returns.

        Raises:
            StorageError: The disk refuses; all batches before are safe, nothing of this one is kept, and it may be
                appended again.
            SegmentDamaged: The disk does not give back what it was given, or somebody has removed it.
        """
        if not self._is_there:
            raise self._loss()
        began_ns, now_ns = (batch.column("elapsed_ns")[row].as_py() for row in (0, -1))
        self._sealer.check(now_ns)
        self._mend()
        if self._journal is None:
            path = self.path / EVENTS_FOLDER / f"{self._number:06d}{JOURNAL_SUFFIX}"
            self._journal = JournalWriter(path, self._metadata, sync=self._sync)
            self._journal_began_ns = began_ns
        try:
            self._journal.append(batch)
        except StorageError:
            self._journal, self._broken = None, self._journal
            raise
        self.tally.add(batch)
        age_ns = self.tally.last_elapsed_ns - self._journal_began_ns
        is_due = self._journal.size_bytes >= self._limits.segment_bytes or age_ns >= self._limits.segment_ns
        if is_due and self._sealer.refusal is None:
            self._rotate()

    def close(self, health: Health) -> Manifest:
        """Seal what is left and write the final manifest.

        Raises:
            StorageError: The disk refuses; what was appended is still in a journal.
            SegmentDamaged: The disk does not give back what it was given, or somebody has removed it.
        """
        try:
            if not self._is_there:
                raise self._loss()
            self._rotate()
            self._mend()
            self._sealer.finish()
            held = {*disk.list_names(self.path / EVENTS_FOLDER)}
            if self._keeps_segments and any(info.name not in held for info in self.manifest.segments):
                raise self._loss()
            self.manifest.count(self.tally)
            self.manifest.health = health
            self.manifest.sealed = True
            self.manifest.write(self.path)
        except BaseException:
            self.manifest.sealed = False
            raise
        finally:
            self.abandon()
        return self.manifest

    def abandon(self) -> None:
        """Let go after an error: journals stay as they are, "wsrec recover" seals them."""
        for journal in (self._journal, self._broken):
            if journal is not None:
                journal.abandon()
        self._journal = self._broken = None
        self._sealer.stop()
        self._lock.release()

    @property
    def _is_there(self) -> bool:
        """Whether nobody has taken away what is written; a journal that refused something is looked at when mended."""
        return self._journal.is_there if self._journal is not None else (self.path / EVENTS_FOLDER).is_dir()

    def _loss(self) -> SegmentDamaged:
        """Return the error for what somebody has removed; the manifest tells what was there, so that it is missed."""
        self._sealer.stop()
        self.manifest.count(self.tally)
        with suppress(StorageError):  # the whole session may be gone
            self.manifest.write(self.path)
        return SegmentDamaged(
            f"files of {self.path} were removed or moved away while it was recorded",
            hint='bring them back if you can; "wsrec recover" says what is left',
        )

    def _rotate(self) -> None:
        """End the open journal and have it sealed; one that refuses its end is mended before the next append."""
        if self._journal is None:
            return
        journal, self._journal = self._journal, None
        try:
            journal.close()
        except StorageError:
            self._broken = journal  # all its batches are safe
        else:
            self._seal(journal)

    def _mend(self) -> None:
        """Cut a journal that refused something back to what was appended, and have it sealed."""
        if self._broken is None:
            return
        if self._broken.rows:
            self._broken.cut_back()
            self._seal(self._broken)
        else:
            self._broken.abandon()
            disk.remove(self._broken.path)  # the next one gets its name
        self._broken = None

    def _seal(self, journal: JournalWriter) -> None:
        counted = Manifest(identity=self.manifest.identity)
        counted.count(self.tally)
        self._sealer.put(Sealing(journal.path, journal.rows, journal_bytes=journal.safe_bytes, counted=counted))
        self._number += 1


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
        self._is_in_doubt = False
        self._writer = DuckDbWriter(path, identity)
        self.manifest = self._writer.manifest

    @property
    def path(self) -> Path:
        """Where the session is kept."""
        return self._writer.path

    @property
    def on_disk(self) -> Path:
        """The file."""
        return self._writer.path

    @property
    def size_bytes(self) -> int:
        """Bytes on disk so far."""
        return self._writer.size_bytes

    @property
    def trouble(self) -> StorageError | None:
        """Return None: nothing is sealed before the end."""
        return None

    def append(self, batch: pa.RecordBatch) -> None:
        """Keep a batch of `SCHEMA`, in a transaction of its own.

        Raises:
            StorageError: The disk refuses; nothing of the batch is kept, and it may be appended again.
            SegmentDamaged: After that, the file does not hold what it had taken; or it was removed.
        """
        self._refuse_loss()
        if not (self._is_in_doubt and self._is_held_after_all(batch)):
            try:
                self._writer.append(batch)
            except StorageError:
                self._is_in_doubt = True
                raise
        self.tally.add(batch)

    def _refuse_loss(self) -> None:
        if not self.path.exists():
            raise SegmentDamaged(f"{self.path} was removed or moved away while it was recorded", hint="bring it back")

    def _is_held_after_all(self, batch: pa.RecordBatch) -> bool:
        """Return whether an append that failed has left its batch all the same: a commit may fail at its very end."""
        held = self._writer.resume()
        if held not in (self.tally.events, self.tally.events + len(batch)):
            raise SegmentDamaged(
                f"{self.path} holds {held} events after the disk refused, expected {self.tally.events}",
                hint="check the disk",
            )
        self._is_in_doubt = False
        return held != self.tally.events

    def close(self, health: Health) -> Manifest:
        """Write the final manifest and let go of the file."""
        self._refuse_loss()
        self.manifest.count(self.tally)
        self.manifest.health = health
        self.manifest.sealed = True
        try:
            self._writer.close()
        except StorageError:
            self.manifest.sealed = False
            raise
        return self.manifest

    def abandon(self) -> None:
        """Let go after an error; the batches before stay readable."""
        self._writer.abandon()
