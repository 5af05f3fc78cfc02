"""Options of the spool, in which sessions wait that are on their way to object storage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from wsrecorder.store.place import ObjectPath

__all__ = ["Spool", "SpoolMax", "waiting_for"]

_PANEL = "Object storage"

Spool = Annotated[
    Path | None,
    typer.Option(
        "--spool",
        envvar="WSREC_SPOOL",
        metavar="DIR",
        rich_help_panel=_PANEL,
        help="Where sessions wait until they are there.  [default: wsrec/spool in the user's state folder]",
    ),
]
SpoolMax = Annotated[
    str,
    typer.Option(
        metavar="SIZE",
        rich_help_panel=_PANEL,
        help="How much may wait there; then it is like a full disk.",
    ),
]


def waiting_for(library: ObjectPath, spool: Path | None) -> list[str]:
    """Return the folders of sessions that wait in a spool, without a recorder, for a library.

    Raises:
        StorageError: The spool may not be read.
        SessionError: What says where one of them belongs cannot be read.
    """
    from wsrecorder.store.spool import destination_of, leftovers, spool_folder

    found = ((folder.absolute(), destination_of(folder)) for folder in leftovers(spool_folder(spool)))
    return [str(folder) for folder, place in found if place is not None and library in place.parents]
