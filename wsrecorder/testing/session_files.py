"""Sessions as tests name them: by path, and files of other formats, which are imported once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from wsrecorder.core.dialect import Dialect
from wsrecorder.errors import SessionNotFound
from wsrecorder.jobs.convert import ImportOptions, import_file
from wsrecorder.store.library import DUCKDB_SUFFIX, open_store
from wsrecorder.store.place import local
from wsrecorder.store.session import Store

__all__ = ["SessionFiles", "find_file"]


def find_file(name: str | Path, places: Sequence[Path]) -> Path:
    """Return the path of a file or folder that is in one of these folders, or that the name leads to by itself.

    Raises:
        SessionNotFound: There is none.
    """
    # A folder joined with an absolute path is that path.
    for place in places:
        if (place / name).exists():
            return place / name
    looked = " or ".join(dict.fromkeys(str(place / name) for place in places))
    raise SessionNotFound(
        f"there is no {looked}", hint="a path is relative to the test's file, or to the root folder of the tests"
    )


class SessionFiles:
    """Opens sessions, and makes sessions of files that are none, each file once.

    Args:
        make_folder: Makes a new folder for what is imported.
    """

    def __init__(self, make_folder: Callable[[], Path]) -> None:
        self._make_folder = make_folder
        self._imported: dict[tuple[object, ...], Path] = {}

    def open(self, path: Path, format: str | None = None, dialect: Dialect | None = None) -> Store:
        """Return the session at a path.

        Args:
            path: A session, or a file that can be imported.
            format: The file's format; None is told by its name or its first line.
            dialect: How its envelopes are read; None is the engine's, and what the file itself holds is kept.

        Raises:
            UsageError: The file's format cannot be told or imported.
            SessionError: It cannot be read.
        """
        if path.is_dir() or path.suffix == DUCKDB_SUFFIX:
            return open_store(path)
        # A test may write the file anew.
        status = path.stat()
        key = (path.resolve(), status.st_mtime_ns, status.st_size, format, dialect)
        if key not in self._imported:
            options = ImportOptions(file=path, format=format, library=self._make_folder(), dialect=dialect)
            self._imported[key] = local(import_file(options).path, "a test")
        return open_store(self._imported[key])
