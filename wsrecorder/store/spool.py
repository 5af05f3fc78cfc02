"""The spool: a folder on the recorder's own disk in which sessions wait that are on their way to object storage.

::

    SPOOL/20261123T191500Z-engine/
        destination.json              where the session belongs; no credentials
        session.json                  the manifest, which names segments that are there already too
        session.lock                  while its recorder lives
        events/000012.parquet …       sealed, not there yet
        events/000013.journal         the open segment

A session leaves the spool when all of it is in object storage. What a recorder that was killed has left is found here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from wsrecorder.errors import SessionError
from wsrecorder.store import disk
from wsrecorder.store.lock import is_locked
from wsrecorder.store.place import ObjectPath, place_of
from wsrecorder.store.session import EVENTS_FOLDER

__all__ = ["destination_of", "leave_spool", "leftovers", "new_spooled", "spool_folder", "spooled_bytes"]

_DESTINATION_NAME: Final = "destination.json"


class _Destination(msgspec.Struct, frozen=True):
    place: str


def spool_folder(given: Path | None = None) -> Path:
    """Return the spool: the one given, else what ``WSREC_SPOOL`` names, else one in the user's state folder."""
    if given is not None:
        return given
    if named := os.environ.get("WSREC_SPOOL"):
        return Path(named)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "wsrec" / "spool"


def new_spooled(spool: Path, session_id: str, place: ObjectPath) -> Path:
    """Make the folder in which a session waits.

    Args:
        spool: The spool.
        session_id: The session's id.
        place: Where it belongs.

    Raises:
        FileExistsError: One of that id waits there.
        StorageError: The disk refuses.
    """
    folder = spool / session_id
    disk.make_directory(folder, exist_ok=False)
    disk.make_directory(folder / EVENTS_FOLDER)
    disk.replace_atomically(folder / _DESTINATION_NAME, msgspec.json.encode(_Destination(str(place))) + b"\n")
    return folder


def destination_of(folder: Path) -> ObjectPath | None:
    """Return where the session in a folder of the spool belongs; None where the folder is of no spool.

    Raises:
        SessionError: What says so cannot be read.
    """
    path = folder / _DESTINATION_NAME
    try:
        place = place_of(msgspec.json.decode(path.read_bytes(), type=_Destination).place)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.MsgspecError) as exc:
        raise SessionError(
            f"{path} does not say where the session belongs", hint='write {"place": "s3://…/session=ID"} into it'
        ) from exc
    assert isinstance(place, ObjectPath)
    return place


def leftovers(spool: Path) -> list[Path]:
    """Return the folders of sessions that wait without a recorder, the oldest first.

    Raises:
        StorageError: The spool may not be read.
    """
    found = (spool / name for name in disk.list_names(spool) if not name.startswith("."))
    return [folder for folder in found if (folder / _DESTINATION_NAME).exists() and not is_locked(folder)]


def spooled_bytes(spool: Path) -> int:
    """Return what a spool takes on the disk, bytes; what goes away meanwhile is not counted."""
    total = 0
    for folder, _, names in os.walk(spool):
        for name in names:
            try:
                total += (Path(folder) / name).stat().st_size
            except OSError:
                continue  # brought to where it belongs while we counted
    return total


def leave_spool(folder: Path) -> None:
    """Remove a session's folder, now that all of it is where it belongs; the one who does holds its lock.

    Where it belongs is removed last: a crash in between leaves something that is found, and is done with in no time.

    Raises:
        StorageError: The disk refuses.
    """
    for name in disk.list_names(folder / EVENTS_FOLDER):
        disk.remove(folder / EVENTS_FOLDER / name)
    with disk.storage_errors(folder):
        (folder / EVENTS_FOLDER).rmdir()
        for name in [*(name for name in disk.list_names(folder) if name != _DESTINATION_NAME), _DESTINATION_NAME]:
            disk.remove(folder / name)
        folder.rmdir()
