"""The folder of sessions, on a disk or in object storage: names for new ones, and ways to find one.

A session is named by path or URL, id, unique prefix of an id, name, or ``latest``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from wsrecorder.core.event import from_epoch_ns, to_epoch_ns
from wsrecorder.errors import SessionError, SessionNotFound, UsageError
from wsrecorder.store import disk, hive
from wsrecorder.store.lock import is_locked
from wsrecorder.store.manifest import MANIFEST_NAME
from wsrecorder.store.place import ObjectPath, Place, label, local, place_of
from wsrecorder.store.remote import RemoteStore
from wsrecorder.store.session import EVENTS_FOLDER, ParquetStore, Store

__all__ = ["DUCKDB_SUFFIX", "Library", "library_path", "new_id", "open_store", "safe_name"]

DUCKDB_SUFFIX: Final = ".duckdb"


def library_path(path: str | Place | None = None) -> Place:
    """Return the folder of sessions: the one given, else what ``WSREC_LIBRARY`` names, else ``./recordings``.

    Raises:
        UsageError: It is a URL of something that holds no sessions.
    """
    return place_of(path or os.environ.get("WSREC_LIBRARY") or "recordings")


def safe_name(name: str) -> str:
    """Return a name as it can stand in a file name.

    Raises:
        UsageError: Nothing of it can.
    """
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:64]
    if not safe:
        raise UsageError(
            f"session name {name!r} holds no letter or digit", hint="use letters, digits, dots and dashes for --name"
        )
    return safe


def new_id(name: str, started_ns: int) -> str:
    """Return the id of a session: UTC start and name, sortable, safe as a file name."""
    return f"{from_epoch_ns(started_ns):%Y%m%dT%H%M%SZ}-{safe_name(name)}"


def open_store(path: Place) -> Store:
    """Return the session at a path, in whichever form it is kept.

    Raises:
        SessionNotFound: There is none.
    """
    if isinstance(path, ObjectPath):
        return RemoteStore(path)
    if path.suffix != DUCKDB_SUFFIX or path.is_dir():
        return ParquetStore(path)
    # DuckDB costs a tenth of a second, which a session of Parquet segments should not pay.
    from wsrecorder.store.duckdb_file import DuckDbStore

    return DuckDbStore(path)


class Library:
    """A folder of sessions; it need not be there yet.

    Args:
        path: The folder, or its place in object storage.
    """

    def __init__(self, path: Place) -> None:
        self.path = path

    def paths(self, beginning: str = "") -> Sequence[Place]:
        """Return where its sessions are, oldest first.

        Args:
            beginning: Those whose ids begin otherwise may be left out, where that saves looking for them.

        Raises:
            StorageError: The library may not be read, or is a file.
        """
        if isinstance(self.path, ObjectPath):
            return hive.sessions(self.path, beginning)
        return [self.path / name for name in disk.list_names(self.path) if _is_session(self.path / name)]

    def find(self, reference: str) -> Store:
        """Return the session that goes by a path, an id, a unique prefix of an id, a name, or ``latest``.

        Raises:
            SessionNotFound: None does, or more than one.
        """
        if "/" in reference or reference.endswith(DUCKDB_SUFFIX) or _is_session(Path(reference)):
            return self._at_path(place_of(reference))
        if reference == "latest":
            return open_store(self._latest())
        paths = self.paths(reference if reference[:8].isdecimal() else "")
        exact = [path for path in paths if _id(path) == reference]
        matches = exact or [path for path in paths if _id(path).startswith(reference)]
        # Of several recordings under one name the newest is meant, as with latest.
        named = [path for path in paths if _is_named(path, reference)]
        if len(matches) == 1:
            return open_store(matches[0])
        if not matches and named:
            return open_store(max(named, key=_began))
        raise self._not_one(reference, matches)

    def _latest(self) -> Place:
        if isinstance(self.path, ObjectPath):
            found: Place | None = hive.newest(self.path)
        else:
            found = max(self.paths(), key=_began, default=None)
        if found is None:
            raise SessionNotFound(f"library {self.path} holds no session", hint='record one first: "wsrec record URL"')
        return found

    def _at_path(self, path: Place) -> Store:
        if isinstance(path, ObjectPath) or path.exists():
            return open_store(path)
        inside = self.path / path
        if ".." not in path.parts and inside.exists():
            return open_store(inside)
        raise SessionNotFound(f"there is no session at {path}", hint=f'"wsrec ls --library {self.path}" lists them')

    def _not_one(self, reference: str, matches: Sequence[Place]) -> SessionNotFound:
        if matches:
            shown = ", ".join(_id(path) for path in matches[:3]) + (" …" if len(matches) > 3 else "")
            return SessionNotFound(
                f"{reference!r} is the beginning of {len(matches)} sessions: {shown}", hint="write more of the id"
            )
        return SessionNotFound(
            f"no session of library {self.path} has the id, a prefix of it, or the name {reference!r}",
            hint=f'"wsrec ls --library {self.path}" lists them; "latest" is the newest',
        )

    def create(self, name: str, started_ns: int) -> tuple[str, Path]:
        """Make the folder of a new session.

        Returns:
            Its id and its path.

        Raises:
            StorageError: The disk refuses.
        """
        stem = new_id(name, started_ns)
        for number in range(1, 10_000):
            session_id = stem if number == 1 else f"{stem}-{number}"
            path = local(self.path, "making a folder for a session") / session_id
            try:
                disk.make_directory(path, exist_ok=False)
            except FileExistsError:
                continue  # two recordings of one name in one second
            disk.make_directory(path / EVENTS_FOLDER)
            return session_id, path
        raise UsageError(f"there are 10,000 sessions {stem}", hint="choose another --name")

    def predecessor(self, name: str, feed: str) -> str | None:
        """Return the id of the newest recording of a feed under a name that has ended, however it did; None if none.

        DuckDB files are not looked at: opening one takes a recorder longer than it has.

        Raises:
            StorageError: The library may not be read, or is a file.
        """
        paths: Iterable[Place]
        if isinstance(self.path, ObjectPath):
            paths = hive.sessions(self.path, feed=hive.feed_folder(self.path, feed, name).name)
        else:
            paths = (path for path in self.paths() if isinstance(path, Path) and path.is_dir())
        for path in sorted(paths, key=label, reverse=True):
            if not _is_named(path, name) or is_locked(path):
                continue
            try:
                store = open_store(path)
                if isinstance(store, RemoteStore) and not store.manifest().sealed:
                    continue  # there it cannot be told whether somebody still writes it
                found = store.identity()
            except SessionError:
                continue  # one that cannot be read must not keep anybody from recording
            if (found.name, found.feed, found.derived_from) == (name, feed, ()):
                return found.id
        return None

    def stores(self) -> Iterator[Store]:
        """Yield its sessions, oldest first; in object storage those that are just being removed are left out."""
        for path in self.paths():
            try:
                yield open_store(path)
            except SessionNotFound:
                if not isinstance(path, ObjectPath):
                    raise


def _is_session(path: Path) -> bool:
    if path.is_dir():
        return (path / MANIFEST_NAME).is_file() or (path / EVENTS_FOLDER).is_dir()
    return path.suffix == DUCKDB_SUFFIX and path.is_file()


def _id(path: Place) -> str:
    is_folder = isinstance(path, ObjectPath) or path.is_dir()
    return label(path) if is_folder else path.name.removesuffix(DUCKDB_SUFFIX)


def _is_named(path: Place, name: str) -> bool:
    """Return whether a session was recorded under a name; its id says so, but for a number at its end."""
    found = _id(path).partition("-")[2]
    if found == name:
        return True
    # The second of one name in one second; or one that was named so.
    if not re.fullmatch(re.escape(name) + r"-\d+", found):
        return False
    try:
        return open_store(path).identity().name == name
    except SessionError:
        return False


def _began(path: Place) -> tuple[int, str]:
    """Return a key that sorts sessions by their beginning; a DuckDB file's name need not tell it."""
    stamp = re.match(r"\d{8}T\d{6}Z", label(path))
    if stamp is not None and (isinstance(path, ObjectPath) or path.is_dir()):
        return to_epoch_ns(datetime.strptime(stamp[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)), path.name
    try:
        return open_store(path).identity().started_ns, path.name
    except SessionError:
        # One that cannot be read must not hide the others.
        return (path.stat().st_mtime_ns if isinstance(path, Path) else 0), path.name
