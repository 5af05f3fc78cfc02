"""An object as a file that is read in few, large requests: only what is needed of it, and ahead of its reader.

Theory of operation. The end of the object, where a Parquet file says what is where, comes with the first request. What
is read next can be said beforehand (`ObjectFile.fetch`): places close to each other are fetched as one, on threads,
and a read that finds its bytes under way waits for them. Any other read is a request of its own.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Final

from wsrecorder.store.place import ObjectPath

__all__ = ["TAIL_BYTES", "ObjectFile", "coalesced"]

TAIL_BYTES: Final = 1 << 16
"""How much of the end is fetched first: the footer of a segment of some hundred row groups."""

_HOLE_BYTES: Final = 1 << 17
"""What lies between two places that are wanted and is fetched with them: a request costs more time than that."""

_LARGEST_BYTES: Final = 8 << 20
"""Larger ones are fetched in parts, side by side."""

_KEPT_TAILS: Final = 512
_FETCHERS: Final = 8


class ObjectFile(io.RawIOBase):
    """An object, open for reading.

    Attributes:
        path: Where it is.
        size_bytes: Its size.

    Args:
        path: Where it is; it must never change, as segments never do.

    Raises:
        FileNotFoundError: There is no such object.
        StorageError: The store refuses or is away.
    """

    def __init__(self, path: ObjectPath) -> None:
        super().__init__()
        self.path = path
        tail, self.size_bytes = _TAILS.of(path)
        self._place = 0
        self._tail = (self.size_bytes - len(tail), tail)
        self._ahead: dict[int, tuple[int, Future[bytes]]] = {}

    def fetch(self, places: Iterable[tuple[int, int]]) -> None:
        """Begin to fetch what will be read; what was fetched before the call before this one is forgotten.

        Args:
            places: Beginning and end of each part, bytes, the end not included.
        """
        for start, end in coalesced(places):
            if start < self._tail[0] and start not in self._ahead:
                self._ahead[start] = end, _fetchers().submit(self._get, start, end)

    def forget(self, before: int) -> None:
        """Let go of what was fetched from before a place in the file."""
        for start in [start for start, (end, _) in self._ahead.items() if end <= before]:
            del self._ahead[start]

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place from which is read next."""
        return self._place

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, as `io.IOBase.seek`."""
        self._place = offset + {0: 0, 1: self._place, 2: self.size_bytes}[whence]
        return self._place

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes, as many as there are if that is below 0.

        Raises:
            StorageError: The store refuses or is away.
        """
        start = self._place
        end = self.size_bytes if size < 0 else min(self.size_bytes, start + size)
        if start >= end:
            return b""
        self._place = end
        return self._held(start, end) or self._get(start, end)

    def _held(self, start: int, end: int) -> bytes:
        tail_start, tail = self._tail
        if start >= tail_start:
            return tail[start - tail_start : end - tail_start]
        for first, (last, future) in self._ahead.items():
            if first <= start and end <= last:
                return future.result()[start - first : end - first]
        return b""

    def _get(self, start: int, end: int) -> bytes:
        parts = [(at, min(at + _LARGEST_BYTES, end)) for at in range(start, end, _LARGEST_BYTES)]
        found = self.path.objects.ranges(self.path.key, parts)
        return found[0] if len(found) == 1 else b"".join(found)


def coalesced(places: Iterable[tuple[int, int]], hole_bytes: int = _HOLE_BYTES) -> list[tuple[int, int]]:
    """Return places in ascending order, those that nothing or little parts put into one.

    Args:
        places: Beginning and end of each, the end not included.
        hole_bytes: How much may lie between two that become one.
    """
    found: list[tuple[int, int]] = []
    for start, end in sorted(places):
        if found and start - found[-1][1] <= hole_bytes:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


class _Tails:
    """The ends of the objects that were opened last: they are opened again for every look into a session."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[ObjectPath, tuple[bytes, int]] = OrderedDict()

    def of(self, path: ObjectPath) -> tuple[bytes, int]:
        with self._lock:
            if path in self._kept:
                self._kept.move_to_end(path)
                return self._kept[path]
        found = path.objects.tail(path.key, TAIL_BYTES)
        with self._lock:
            self._kept[path] = found
            if len(self._kept) > _KEPT_TAILS:
                self._kept.popitem(last=False)
        return found


_TAILS: Final = _Tails()


@cache
def _fetchers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_FETCHERS, thread_name_prefix="wsrec-fetch")
