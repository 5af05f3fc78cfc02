"""Removing a session so that at no moment half of one is left for others to find.

It is renamed out of sight first, into a hidden folder of its library, and then removed. If a crash comes in between,
`sweep` removes the rest the next time.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

from wsrecorder.errors import SessionError
from wsrecorder.store import disk
from wsrecorder.store.duckdb_log import log_of
from wsrecorder.store.library import DUCKDB_SUFFIX
from wsrecorder.store.lock import SessionLock
from wsrecorder.store.manifest import MANIFEST_NAME
from wsrecorder.store.notes import notes_path
from wsrecorder.store.place import ObjectPath, Place, local

__all__ = ["remove_session", "sweep"]

_HIDDEN: Final = ".wsrec-gone-"


def remove_session(path: Place) -> None:
    """Remove a session with its notes, in whichever form it is kept.

    Raises:
        SessionError: Somebody writes into it, or it is a link to one that is kept elsewhere.
        StorageError: The disk refuses.
    """
    if isinstance(path, ObjectPath):
        _remove_objects(path)
        return
    if path.is_symlink():
        raise SessionError(f"{path} is a link to a session that is kept elsewhere", hint="remove the link by hand")
    with disk.storage_errors(path.parent):
        hidden = Path(tempfile.mkdtemp(prefix=_HIDDEN, dir=path.parent))
        disk.sync_directory(path.parent)  # by its name `sweep` finds what is moved there
    try:
        if path.is_dir():
            # Whoever holds the lock writes there: a recorder, or somebody who recovers it.
            with SessionLock(path):
                disk.publish(path, hidden / path.name)
        else:
            _hide_file(path, hidden)
    finally:
        with disk.storage_errors(hidden):
            shutil.rmtree(hidden)


def sweep(library: Place) -> None:
    """Remove what a crash has left of sessions that were being removed; in object storage it does no harm.

    Raises:
        StorageError: The disk refuses.
    """
    if isinstance(library, ObjectPath):
        return
    for name in disk.list_names(library):
        if name.startswith(_HIDDEN):
            if (library / name).is_symlink():
                continue  # not ours: ours are folders
            for session in disk.list_names(library / name):
                _remove_rest(library / session)
            with disk.storage_errors(library / name):
                shutil.rmtree(library / name)


def _remove_objects(path: ObjectPath) -> None:
    """Remove the manifest, without which nobody takes the rest for a session, and then the rest."""
    keys = [each.key for each in path.objects.below(path.key)]
    manifest = (path / MANIFEST_NAME).key
    path.objects.delete([manifest])
    path.objects.delete([key for key in keys if key != manifest])


def _remove_rest(path: Path) -> None:
    """Remove what lies beside a DuckDB file that is hidden: a new one of its name would have it for its own."""
    if not path.exists() and path.suffix == DUCKDB_SUFFIX:
        for part in (log_of(path), local(notes_path(path), "removing notes")):
            disk.remove(part)


def _hide_file(path: Path, hidden: Path) -> None:
    # DuckDB: a tenth of a second that only its users should pay.
    from wsrecorder.store.duckdb_file import is_locked

    if is_locked(path):
        raise SessionError(f"session {path.name} is being written by another process", hint="wait until it has ended")
    for part in (path, log_of(path), local(notes_path(path), "removing notes")):
        if part.exists():
            disk.publish(part, hidden / part.name)
