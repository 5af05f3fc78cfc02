"""A disk that begins to refuse at its Nth operation: writes cut short, syncs that lose what they were to keep.

It takes the place of the verbs of `wsrecorder.store.disk`. What is written goes to real files, so that whoever reads
them at that moment sees what would stand there.
"""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final
from unittest.mock import patch

import pyarrow as pa

from wsrecorder.store import disk

__all__ = ["FaultyDisk"]

_NEEDS_ROOM: Final = ("create", "write", "sync", "rename")


class FaultyDisk:
    """Counts operations and refuses some.

    Attributes:
        operations: Kinds of those that were asked for so far.
        refused: How many were refused.
        first: Kind of the first that was refused; empty before.

    Args:
        begins: Number of the first operation that is refused.
        lasts: How many are refused before all is well again; None refuses until `mend`.
        code: What it says: ``ENOSPC`` refuses what needs room, ``EIO`` everything.
        on_first: Called right before the first refusal, on the thread that is refused.
    """

    def __init__(self, begins: int, lasts: int | None, code: int, on_first: Callable[[], None] = lambda: None) -> None:
        self.operations: list[str] = []
        self.refused = 0
        self.first = ""
        self._begins = begins
        self._lasts = lasts
        self._code = code
        self._on_first = on_first
        self._lock = threading.Lock()
        self._synced: dict[tuple[int, int], int] = {}

    def mend(self) -> None:
        """Let all be well from now on."""
        self._lasts = 0

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Stand in for the disk of the store."""
        verbs: dict[str, Any] = {
            "create": self._before("create", disk.create),
            "create_anew": self._create_anew,
            "open_for_arrow": self._open_for_arrow,
            "sync": self._sync,
            "sync_directory": self._before("sync", disk.sync_directory),
            "publish": self._before("rename", disk.publish),
            "remove": self._before("remove", disk.remove),
            "truncate": self._before("truncate", disk.truncate),
        }
        with patch.multiple(disk, **verbs):
            yield

    def ask(self, kind: str) -> None:
        """Count an operation.

        Raises:
            OSError: It is refused.
        """
        with self._lock:
            self.operations.append(kind)
            if len(self.operations) < self._begins or (self._lasts is not None and self.refused >= self._lasts):
                return
            if self._code == errno.ENOSPC and kind not in _NEEDS_ROOM:
                return
            self.refused += 1
            is_first, self.first = not self.first, self.first or kind
        if is_first:
            self._on_first()
        raise OSError(self._code, os.strerror(self._code))

    def write(self, content: bytes, really: Callable[[bytes], Any]) -> None:
        """Write all of it, or a part and refuse."""
        try:
            self.ask("write")
        except OSError:
            really(content[: len(content) // 2])
            raise
        really(content)

    def _before(self, kind: str, really: Callable[..., Any]) -> Callable[..., Any]:
        def verb(path: Path, *arguments: Any) -> Any:
            with disk.storage_errors(path):
                self.ask(kind)
            return really(path, *arguments)

        return verb

    def _create_anew(self, path: Path) -> IO[bytes]:
        self.ask("create")
        return io.BufferedRandom(_RawFile(path, self))

    def _open_for_arrow(self, path: Path) -> pa.NativeFile:
        self.ask("create")
        return pa.PythonFile(_ArrowFile(path, self), mode="w")

    def _sync(self, file: IO[bytes]) -> None:
        """Sync a file; one that is refused loses what was written since the last one, as Linux may."""
        file.flush()
        stat = os.fstat(file.fileno())
        place = stat.st_dev, stat.st_ino
        try:
            self.ask("sync")
        except OSError:
            if self._code == errno.EIO:
                kept = min(self._synced.get(place, 0), stat.st_size)
                os.pwrite(file.fileno(), bytes(stat.st_size - kept), kept)
            raise
        self._synced[place] = stat.st_size


class _RawFile(io.FileIO):
    """A file whose writes are counted."""

    def __init__(self, path: Path, faulty: FaultyDisk) -> None:
        super().__init__(path, "w+")
        self._faulty = faulty

    def write(self, content: Any) -> int:
        view = bytes(content)
        self._faulty.write(view, super().write)
        return len(view)


class _ArrowFile(io.RawIOBase):
    """A file for Arrow to write, whose writes are counted."""

    def __init__(self, path: Path, faulty: FaultyDisk) -> None:
        super().__init__()
        self._file = path.open("wb", buffering=0)
        self._faulty = faulty

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._faulty.write(bytes(content), self._file.write)
        return len(content)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()
