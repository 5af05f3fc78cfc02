"""Where a session from a log is written: a folder that one process has to itself, or a place in object storage.

In object storage nobody can be kept out. Instead nothing takes the place of what its writer has not seen: a segment is
made only where there is none of its number, a manifest only in place of the one that was read. Of two writers one is
first, each time; the other one is told (`Overtaken`), forgets what he holds and begins anew behind what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from wsrecorder.store import disk
from wsrecorder.store.hive import session_place
from wsrecorder.store.lock import SessionLock
from wsrecorder.store.manifest import Identity, Manifest
from wsrecorder.store.place import ObjectPath, Place
from wsrecorder.store.segment import SegmentInfo
from wsrecorder.store.segment_writer import segment_content, write_segment
from wsrecorder.store.session import EVENTS_FOLDER, ParquetStore
from wsrecorder.store.upload import ManifestThere, bring_segment

__all__ = ["ArchivePlace", "archive_place"]


class ArchivePlace(Protocol):
    """Where a session is written.

    Attributes:
        path: Where it is kept.
    """

    path: Place

    def manifest(self) -> Manifest | None:
        """Return the manifest that is there, None where there is none; it is the one that `put_manifest` replaces."""
        ...

    def is_recorded(self) -> bool:
        """Return whether a recorder writes there, or has left something."""
        ...

    def put_segment(self, batches: Sequence[pa.RecordBatch], name: str, metadata: dict[str, str]) -> SegmentInfo:
        """Make a segment, whole or not at all, and return what it holds.

        Raises:
            StorageError: The disk or the store refuses.
            StoreAway: The store does not answer; the same may be asked again.
            Overtaken: Another writer has made it.
        """
        ...

    def put_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest, or make the first one; the errors are those of `put_segment`."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


def archive_place(library: Place, identity: Identity) -> ArchivePlace:
    """Return where a session of a library is written.

    Raises:
        SessionError: Another process writes it.
        StorageError: The disk refuses.
    """
    if isinstance(library, ObjectPath):
        return _Objects(session_place(library, identity))
    return _Folder(library / identity.id)


class _Folder:
    """A folder, locked against others until it is closed."""

    def __init__(self, path: Path) -> None:
        self.path: Place = path
        self._folder = path
        disk.make_directory(path)
        disk.make_directory(path / EVENTS_FOLDER)
        self._lock = SessionLock(path)

    def manifest(self) -> Manifest | None:
        return ParquetStore(self.path).stored_manifest()

    def is_recorded(self) -> bool:
        return bool(ParquetStore(self.path).journal_paths())

    def put_segment(self, batches: Sequence[pa.RecordBatch], name: str, metadata: dict[str, str]) -> SegmentInfo:
        return write_segment(batches, self._folder / EVENTS_FOLDER / name, metadata)

    def put_manifest(self, manifest: Manifest) -> None:
        manifest.write(self._folder)

    def close(self) -> None:
        self._lock.release()


class _Objects:
    """A place in object storage. Nothing of it is ever on a disk: until it is there, the log has it."""

    def __init__(self, path: ObjectPath) -> None:
        self.path: Place = path
        self._place = path
        self._there = ManifestThere(path)
        self._is_new = True

    def manifest(self) -> Manifest | None:
        found = self._there.read()
        self._is_new = found is None
        return found

    def is_recorded(self) -> bool:
        return False  # a recorder's segments tell by themselves

    def put_segment(self, batches: Sequence[pa.RecordBatch], name: str, metadata: dict[str, str]) -> SegmentInfo:
        content, info = segment_content(batches, self._place / EVENTS_FOLDER / name, metadata)
        bring_segment(content, info, self._place)
        return info

    def put_manifest(self, manifest: Manifest) -> None:
        if self._is_new:
            self._there.begin(manifest)
            self._is_new = False
        else:
            self._there.replace(manifest)

    def close(self) -> None:
        pass
