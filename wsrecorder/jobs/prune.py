"""Remove the sessions of a library that have had their time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from wsrecorder.analysis.session import State, open_session
from wsrecorder.core.event import to_epoch_ns
from wsrecorder.core.retention import Holding, Limit, Verdict, judge
from wsrecorder.errors import SessionError, SessionNotFound
from wsrecorder.store.library import Library, open_store
from wsrecorder.store.notes import notes_path
from wsrecorder.store.place import ObjectPath, Place, label
from wsrecorder.store.removal import remove_session, sweep

__all__ = ["Pruned", "plan", "prune"]

_SPARED: Final = {
    State.RECORDING: "it is being recorded",
    State.CUT: 'never sealed: "wsrec recover" does that',
}


@dataclass(slots=True)
class Pruned:
    """What was done.

    Attributes:
        removed: Sessions that are gone.
        freed_bytes: What they took on disk.
        errors: What kept others from going.
    """

    removed: list[str] = field(default_factory=list)
    freed_bytes: int = 0
    errors: list[SessionError] = field(default_factory=list)


def plan(library: Place, limit: Limit, now_ns: int, names: Collection[str] | None = None) -> list[Verdict]:
    """Return what would become of each session of a library; nothing is changed.

    Args:
        library: Folder of sessions.
        limit: What it may hold.
        now_ns: UTC ns since the epoch.
        names: Only sessions of these names are looked at, and none that cannot be read; None is all of the library,
            which then must be there.

    Raises:
        SessionNotFound: There is no such library.
        StorageError: It cannot be read.
    """
    # In object storage there are no folders that could be missing.
    if names is None and isinstance(library, Path) and not library.exists():
        raise SessionNotFound(f"there is no library {library}", hint="name the folder of the sessions with --library")
    paths = [path for path in Library(library).paths() if names is None or _name_of(path) in names]
    return judge([_holding(path) for path in paths], limit, now_ns)


def prune(library: Place, verdicts: Sequence[Verdict]) -> Pruned:
    """Remove the sessions that go; one that cannot be removed does not keep the others.

    What has begun to be written since the plan was made is noticed, and stays.
    """
    done = Pruned()
    try:
        sweep(library)
    except SessionError as exc:
        done.errors.append(exc)
    places = {label(path): path for path in Library(library).paths()}
    for verdict in verdicts:
        if not verdict.goes:
            continue
        try:
            remove_session(places.get(verdict.holding.name, library / verdict.holding.name))
        except SessionError as exc:
            done.errors.append(exc)
        else:
            done.removed.append(verdict.holding.name)
            done.freed_bytes += verdict.holding.size_bytes
    return done


def _name_of(path: Place) -> str | None:
    """Return the name of a session; None of a link, and where nobody can tell."""
    try:
        return None if path.is_symlink() else open_store(path).identity().name
    except SessionError:
        return None


def _holding(path: Place) -> Holding:
    if path.is_symlink():
        return Holding(name=label(path), ended_ns=None, size_bytes=0, spared="a link to one kept elsewhere")
    try:
        info = open_session(path.absolute()).info
    except SessionError as exc:
        return Holding(name=label(path), ended_ns=None, size_bytes=_size_bytes(path), spared=f"damaged: {exc.message}")
    ended_ns = to_epoch_ns(datetime.fromisoformat(info.end))
    return Holding(
        name=label(path), ended_ns=ended_ns, size_bytes=info.bytes_on_disk + _notes_bytes(path),
        spared=_SPARED.get(info.state),
    )  # fmt: skip


def _notes_bytes(path: Place) -> int:
    """Return what the notes beside a DuckDB file take; those in a folder are counted with it."""
    beside = notes_path(path)
    return beside.stat().st_size if isinstance(beside, Path) and path.is_file() and beside.exists() else 0


def _size_bytes(path: Place) -> int:
    if isinstance(path, ObjectPath):
        return sum(found.size_bytes for found in path.objects.below(path.key))
    if path.is_file():
        return path.stat().st_size
    return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())
