"""All or nothing: what is being made stays hidden until it is whole."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wsrecorder.store import disk

__all__ = ["staging"]


@contextmanager
def staging(place: Path) -> Iterator[Path]:
    """Give a hidden folder inside of ``place``; what is to stay is renamed out of it, the rest is removed.

    It is in the same place so that the rename cannot turn into a copy. A crash leaves a folder
    ``.wsrec-…`` that no library takes for a session.

    Args:
        place: A folder; it is made if it is not there, and unmade if the work fails.

    Raises:
        StorageError: The disk refuses.
    """
    made = [folder for folder in (place, *place.parents) if not folder.exists()]
    try:
        disk.make_directory(place)
        with disk.storage_errors(place):
            folder = Path(tempfile.mkdtemp(prefix=".wsrec-", dir=place))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except BaseException:
        with suppress(OSError):  # somebody else put something there meanwhile
            for folder in made:
                folder.rmdir()
        raise
