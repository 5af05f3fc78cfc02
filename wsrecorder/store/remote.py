"""A session in object storage: its manifest says what there is, and its segments are read as far as they are needed.

The manifest is put there first, and anew with each segment, so that a session which is being recorded can be read
as far as its last sealed segment. The journal never leaves the recorder's own disk. A place without a manifest is no
session: it is one that is being removed.
"""

from __future__ import annotations

import threading

from wsrecorder.errors import SessionNotFound
from wsrecorder.store.manifest import MANIFEST_NAME, Manifest
from wsrecorder.store.place import ObjectPath, Place
from wsrecorder.store.session import EVENTS_FOLDER, SEGMENT_SUFFIX, ParquetStore

__all__ = ["RemoteStore"]


class RemoteStore(ParquetStore):
    """A session in object storage.

    Args:
        path: Where its manifest is.

    Raises:
        SessionNotFound: There is no such session.
        StorageError: The store refuses or is away.
    """

    def __init__(self, path: ObjectPath) -> None:
        self.path: ObjectPath = path
        self._sealed: Manifest | None = None
        self._looking = threading.Lock()
        if self.stored_manifest() is None:
            raise SessionNotFound(
                f"{path} is not a session: there is no {MANIFEST_NAME}",
                hint=f'"wsrec ls --library {path.root}/PREFIX" lists the sessions of a library',
            )

    def stored_manifest(self) -> Manifest | None:
        """Return the manifest, None where there is none; that of a sealed session is fetched once.

        Raises:
            SessionError: It is not readable, or the store refuses or is away.
            FormatTooNew: A newer wsrec wrote it.
        """
        with self._looking:
            if self._sealed is None:
                try:
                    content = (self.path / MANIFEST_NAME).read_bytes()
                except FileNotFoundError:
                    return None
                found = Manifest.from_json(content, self.path / MANIFEST_NAME)
                if not found.sealed:
                    return found
                self._sealed = found
            return self._sealed

    def files(self) -> dict[int, Place]:
        """Return the segments that the manifest names, by number; what it does not name is not there yet."""
        known = self.stored_manifest()
        return {
            int(info.name.removesuffix(SEGMENT_SUFFIX)): self.path / EVENTS_FOLDER / info.name
            for info in (known.segments if known is not None else [])
        }

    def segment_paths(self) -> list[Place]:
        """Return the segments that the manifest names, in order."""
        return list(self.files().values())

    def journal_paths(self) -> list[Place]:
        """Return nothing: the journal is on the recorder's own disk."""
        return []

    @property
    def size_bytes(self) -> int:
        """What the segments take, bytes."""
        known = self.stored_manifest()
        return sum(info.size_bytes for info in known.segments) if known is not None else 0
