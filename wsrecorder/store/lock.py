"""One writer a session: a lock that ends with its process, however that ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from wsrecorder.errors import SessionError
from wsrecorder.store import disk
from wsrecorder.store.place import ObjectPath, Place

if sys.platform != "win32":
    import fcntl

__all__ = ["LOCK_NAME", "SessionLock", "is_locked"]

LOCK_NAME: Final = "session.lock"
"""Name of the lock file; it holds the process id of the writer, for people."""


class SessionLock:
    """The right to write into a session's folder, held from construction to `release`.

    The file itself means nothing, the lock on it does: a recorder that was killed leaves a file
    without a lock. On a system without ``flock`` nobody is kept out.

    Args:
        folder: The session's folder.

    Raises:
        SessionError: Another process, or another part of this one, writes there.
        StorageError: The disk refuses.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_NAME
        self._descriptor: int | None = None
        with disk.storage_errors(self._path):
            while self._descriptor is None:
                self._descriptor = self._try()

    def __enter__(self) -> SessionLock:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the right back; nothing happens the second time."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        # Removed first, while nobody else can hold it.
        disk.discard(self._path)
        os.close(descriptor)

    def _try(self) -> int | None:
        """Return a descriptor that holds the lock; None when the file went away meanwhile."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            if not _lock(descriptor):
                holder = os.read(descriptor, 32).decode(errors="replace").strip()
                raise SessionError(
                    f"session {self._path.parent.name} is being written by process {holder or 'unknown'}",
                    hint="wait until it has ended, or end it; readers need not wait",
                )
            # Whoever held it before may have removed the file between our opening and locking it.
            if not self._path.exists() or not os.path.samestat(os.fstat(descriptor), self._path.stat()):
                os.close(descriptor)
                return None
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def is_locked(folder: Place) -> bool:
    """Return whether somebody writes into a session's folder right now; in object storage nobody can tell."""
    if isinstance(folder, ObjectPath):
        return False
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _lock(descriptor, shared=True)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, *, shared: bool = False) -> bool:
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
