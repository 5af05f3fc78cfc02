"""The ring of a black box on disk: journals in a hidden folder of the library, the oldest of which are removed.

They are ordinary journals with ordinary checksums, each batch synced, so what a killed recorder leaves can be read. The
folder (``.wsrec-ring-…``) is no session: nobody finds it before what it holds was made one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import pyarrow as pa

from wsrecorder.errors import SessionError, StorageError
from wsrecorder.store import disk
from wsrecorder.store.journal import JournalWriter
from wsrecorder.store.lock import SessionLock, is_locked
from wsrecorder.store.manifest import Identity
from wsrecorder.store.place import ObjectPath, Place
from wsrecorder.store.session import JOURNAL_SUFFIX

__all__ = ["RingFiles", "left_rings", "remove_ring", "ring_journals"]

_PREFIX: Final = ".wsrec-ring-"
_MOST_TRIES: Final = 100


class RingFiles:
    """The journals of a ring that is being written, locked against everybody else until it is let go of.

    Attributes:
        path: The hidden folder.

    Args:
        library: Folder of sessions.
        identity: What is recorded.
        sync: Whether each batch is synced to the disk.

    Raises:
        StorageError: The disk refuses.
    """

    def __init__(self, library: Path, identity: Identity, *, sync: bool = True) -> None:
        self.path, self._lock = _new_folder(library, identity.id)
        self._sync = sync
        self._metadata = identity.to_metadata()
        self._journal: JournalWriter | None = None
        self._broken: JournalWriter | None = None  # refused something; to be cut back before anything goes on
        self._stale: list[int] = []  # could not be removed yet

    def append(self, number: int, batch: pa.RecordBatch) -> int:
        """Keep a batch in the journal of that number, which is the open one or a new one; return its size, bytes.

        Raises:
            StorageError: The disk refuses; what was appended before is safe, nothing of this batch is kept, and it may
                be appended again, to a new journal.
        """
        self._mend()
        if self._journal is None:
            self._journal = JournalWriter(self._at(number), self._metadata, sync=self._sync)
        try:
            self._journal.append(batch)
        except StorageError:
            self._journal, self._broken = None, self._journal
            raise
        return self._journal.size_bytes

    def rotate(self) -> None:
        """Close the open journal, if there is one; what it holds is safe whatever the disk says to that."""
        if self._journal is None:
            return
        journal, self._journal = self._journal, None
        try:
            journal.close()
        except StorageError:
            self._broken = journal
            with suppress(StorageError):  # tried again before the next batch
                self._mend()

    def paths(self, numbers: Iterable[int]) -> list[Path]:
        """Return where the journals of these numbers are."""
        return [self._at(number) for number in numbers]

    def remove(self, numbers: Iterable[int]) -> None:
        """Remove the journals of these numbers; what the disk does not let go of is tried again the next time."""
        tried, self._stale = [*self._stale, *numbers], []
        for number in tried:
            try:
                disk.remove(self._at(number))
            except StorageError:
                self._stale.append(number)

    def destroy(self) -> None:
        """Remove the ring: nothing of it is wanted any more.

        Raises:
            StorageError: The disk refuses.
        """
        remove_ring(self.path)

    def let_go(self) -> None:
        """Let go of the ring as it is; nothing happens the second time."""
        for journal in (self._journal, self._broken):
            if journal is not None:
                journal.abandon()
        self._journal = None
        self._lock.release()

    def _mend(self) -> None:
        """Cut a journal that refused something back to what is safe; one that holds nothing goes."""
        if self._broken is None:
            return
        if self._broken.rows:
            self._broken.cut_back()
        else:
            self._broken.abandon()
            disk.remove(self._broken.path)
        self._broken = None

    def _at(self, number: int) -> Path:
        return self.path / f"{number:06d}{JOURNAL_SUFFIX}"


def remove_ring(ring: Path) -> None:
    """Remove a ring whole; whoever holds its lock keeps it until it lets go.

    Raises:
        StorageError: The disk refuses.
    """
    with disk.storage_errors(ring):
        shutil.rmtree(ring)


def left_rings(library: Place) -> list[Path]:
    """Return the rings of a library that nobody writes: what recorders that were killed have left; on a disk alone.

    Raises:
        StorageError: The library cannot be read.
    """
    if isinstance(library, ObjectPath):
        return []
    found = (library / name for name in disk.list_names(library) if name.startswith(_PREFIX))
    return [path for path in found if path.is_dir() and not path.is_symlink() and not is_locked(path)]


def ring_journals(ring: Path) -> list[Path]:
    """Return the journals of a ring in order.

    Raises:
        StorageError: It cannot be read.
    """
    names = (name for name in disk.list_names(ring) if name.endswith(JOURNAL_SUFFIX))
    stems = (name.removesuffix(JOURNAL_SUFFIX) for name in names)
    return [ring / f"{stem}{JOURNAL_SUFFIX}" for stem in sorted((s for s in stems if s.isdecimal()), key=int)]


def _new_folder(library: Path, session_id: str) -> tuple[Path, SessionLock]:
    """Make the folder of a new ring and lock it."""
    number = 1
    while True:
        path = library / (f"{_PREFIX}{session_id}" if number == 1 else f"{_PREFIX}{session_id}-{number}")
        try:
            disk.make_directory(path, exist_ok=False)
            return path, SessionLock(path)
        except FileExistsError:
            pass  # two feeds of one host in one second
        except SessionError:
            # Somebody who looks for what killed recorders left may take it for that before it is locked.
            if number >= _MOST_TRIES or (path.is_dir() and not is_locked(path)):
                raise
        number += 1
