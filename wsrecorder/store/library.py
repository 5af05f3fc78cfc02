"""The folder of sessions: names for new ones, and ways to find one.

A session is named by path, id, unique prefix of an id, name, or ``latest``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from wsrecorder.core.event import from_epoch_ns, to_epoch_ns
from wsrecorder.errors import SessionError, SessionNotFound, UsageError
from wsrecorder.store import disk
from wsrecorder.store.lock import is_locked
from wsrecorder.store.manifest import MANIFEST_NAME
from wsrecorder.store.session import EVENTS_FOLDER, ParquetStore, Store

__all__ = ["DUCKDB_SUFFIX", "Library", "library_path", "new_id", "open_store", "safe_name"]

DUCKDB_SUFFIX: Final = ".duckdb"


def library_path(path: str | Path | None = None) -> Path:
    """Return the folder of sessions: the one given, else what ``WSREC_LIBRARY`` names, else ``./recordings``."""
    return Path(path or os.environ.get("WSREC_LIBRARY") or "recordings")


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


def open_store(path: Path) -> Store:
    """Return the session at a path, in whichever form it is kept.

    Raises:
        SessionNotFound: There is none.
    """
    if path.suffix != DUCKDB_SUFFIX or path.is_dir():
        return ParquetStore(path)
    # DuckDB costs a tenth of a second, which a session of Parquet segments should not pay.
    from wsrecorder.store.duckdb_file import DuckDbStore

    return DuckDbStore(path)


class Library:
    """A folder of sessions; it need not be there yet.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def paths(self) -> list[Path]:
        """Return where its sessions are, oldest first.

        Raises:
            StorageError: The library may not be read, or is a file.
        """
        return [self.path / name for name in disk.list_names(self.path) if _is_session(self.path / name)]

    def find(self, reference: str) -> Store:
        """Return the session that goes by a path, an id, a unique prefix of an id, a name, or ``latest``.

        Raises:
            SessionNotFound: None does, or more than one.
        """
        if "/" in reference or reference.endswith(DUCKDB_SUFFIX) or _is_session(Path(reference)):
            return self._at_path(Path(reference))
        paths = self.paths()
        if reference == "latest":
            if not paths:
                raise SessionNotFound(
                    f"library {self.path} holds no session", hint='record one first: "wsrec record URL"'
                )
            return open_store(max(paths, key=_began))
        exact = [path for path in paths if _id(path) == reference]
        matches = exact or [path for path in paths if _id(path).startswith(reference)]
        # Of several recordings under one name the newest is meant, as with latest.
        named = [path for path in paths if _is_named(path, reference)]
        if len(matches) == 1:
            return open_store(matches[0])
        if not matches and named:
            return open_store(max(named, key=_began))
        raise self._not_one(reference, matches)

    def _at_path(self, path: Path) -> Store:
        if path.exists():
            return open_store(path)
        inside = self.path / path
        if ".." not in path.parts and inside.exists():
            return open_store(inside)
        raise SessionNotFound(f"there is no session at {path}", hint=f'"wsrec ls --library {self.path}" lists them')

    def _not_one(self, reference: str, matches: list[Path]) -> SessionNotFound:
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
            path = self.path / session_id
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
        for path in sorted((path for path in self.paths() if path.is_dir()), reverse=True):
            if not _is_named(path, name) or is_locked(path):
                continue
            try:
                found = open_store(path).identity()
            except SessionError:
                continue  # one that cannot be read must not keep anybody from recording
            if (found.name, found.feed, found.derived_from) == (name, feed, ()):
                return found.id
        return None

    def stores(self) -> Iterator[Store]:
        """Yield its sessions, oldest first."""
        for path in self.paths():
            yield open_store(path)


def _is_session(path: Path) -> bool:
    if path.is_dir():
        return (path / MANIFEST_NAME).is_file() or (path / EVENTS_FOLDER).is_dir()
    return path.suffix == DUCKDB_SUFFIX and path.is_file()


def _id(path: Path) -> str:
    return path.name if path.is_dir() else path.name.removesuffix(DUCKDB_SUFFIX)


def _is_named(path: Path, name: str) -> bool:
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


def _began(path: Path) -> tuple[int, str]:
    """Return a key that sorts sessions by their beginning; a DuckDB file's name need not tell it."""
    stamp = re.match(r"\d{8}T\d{6}Z", path.name)
    if stamp is not None and path.is_dir():
        return to_epoch_ns(datetime.strptime(stamp[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)), path.name
    try:
        return open_store(path).identity().started_ns, path.name
    except SessionError:
        # One that cannot be read must not hide the others.
        return path.stat().st_mtime_ns, path.name
