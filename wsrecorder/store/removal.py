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
from wsrecorder.store.lock import SessionLock
from wsrecorder.store.notes import notes_path

__all__ = ["remove_session", "sweep"]

_HIDDEN: Final = ".wsrec-gone-"


def remove_session(path: Path) -> None:
    """Remove a session with its notes, in whichever form it is kept.

    Raises:
        SessionError: Somebody writes into it, or it is a link to one that is kept elsewhere.
        StorageError: The disk refuses.
    """
    if path.is_symlink():
        raise SessionError(f"{path} is a link to a session that is kept elsewhere", hint="remove the link by hand")
    with disk.storage_errors(path.parent):
        hidden = Path(tempfile.mkdtemp(prefix=_HIDDEN, dir=path.parent))
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


def sweep(library: Path) -> None:
    """Remove what a crash has left of sessions that were being removed.

    Raises:
        StorageError: The disk refuses.
    """
    for name in disk.list_names(library):
        if name.startswith(_HIDDEN):
            with disk.storage_errors(library / name):
                if (library / name).is_symlink():
                    continue  # not ours: ours are folders
                shutil.rmtree(library / name)


def _hide_file(path: Path, hidden: Path) -> None:
    # DuckDB: a tenth of a second that only its users should pay.
    from wsrecorder.store.duckdb_file import is_locked
    from wsrecorder.store.duckdb_log import log_of

    if is_locked(path):
        raise SessionError(f"session {path.name} is being written by another process", hint="wait until it has ended")
    for part in (path, log_of(path), notes_path(path)):
        if part.exists():
            disk.publish(part, hidden / part.name)
