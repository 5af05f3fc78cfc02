"""Segments in object storage as files that DuckDB can read.

DuckDB has an extension of its own for that, which it would have to download. It also takes a filesystem written in
Python, and asks it for just those bytes that a query needs: footers, and columns of row groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from wsrecorder.errors import UsageError
from wsrecorder.store.object_file import ObjectFile
from wsrecorder.store.place import ObjectPath
from wsrecorder.store.segment import damage_explained

try:
    from fsspec import AbstractFileSystem
except ImportError as exc:
    raise UsageError(
        "SQL over object storage needs an extra that is not installed", hint='install it: pip install "wsrecorder[s3]"'
    ) from exc

__all__ = ["SegmentFiles"]

_PREFIX: Final = "wsrec-"
"""Before the scheme: DuckDB believes that it knows others, and asks for its extension."""


class SegmentFiles(AbstractFileSystem):  # type: ignore[misc]
    """Segments of sessions, and nothing else; they can be read and never change."""

    protocol = tuple(f"{_PREFIX}{scheme}" for scheme in ("s3", "gs", "az", "memory"))
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, ObjectPath] = {}

    def names(self, segments: Sequence[ObjectPath]) -> list[str]:
        """Return by which names DuckDB finds segments from now on."""
        found = {f"{_PREFIX}{path}": path for path in segments}
        self._known |= found
        return list(found)

    def open(self, path: str, mode: str = "rb", **_: Any) -> ObjectFile:
        """Return a segment, open for reading.

        Raises:
            FileNotFoundError: None goes by that name.
            SegmentDamaged: It is gone.
            StorageError: The store refuses or is away.
        """
        place = self._place(path)
        with damage_explained(place):
            return ObjectFile(place)

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return the size of a segment; the errors are those of `open`."""
        return {"name": path, "size": self.open(path).size_bytes, "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:
        """Return whether a segment goes by that name."""
        return path in self._known

    def glob(self, path: str, **_: Any) -> list[str]:
        """Return the name itself: there are no patterns."""
        return [path] if path in self._known else []

    def modified(self, path: str) -> datetime:
        """Return always the same: segments never change."""
        return datetime(2000, 1, 1, tzinfo=UTC)

    def _place(self, path: str) -> ObjectPath:
        try:
            return self._known[path]
        except KeyError:
            raise FileNotFoundError(2, "no segment goes by that name", path) from None
