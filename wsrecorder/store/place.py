"""Places: where a library, a session or a file of one is, on a disk or in object storage."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from wsrecorder.errors import UsageError
from wsrecorder.store.objects import SCHEMES, Objects, open_objects

__all__ = ["SESSION_KEY", "ObjectPath", "Place", "is_url", "label", "local", "place_of"]

SESSION_KEY: Final = "session="
"""What the folder of a session in object storage is named before its id, as engines expect it of a data set."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectPath:
    """A place in object storage; it can be asked what `pathlib.Path` can be asked, as far as that makes sense there.

    Attributes:
        root: URL of the bucket, such as ``s3://bucket``.
        key: Name of the object or the folder in it, without a slash at either end; empty is the bucket itself.
    """

    root: str
    key: str = ""

    def __str__(self) -> str:
        return f"{self.root}/{self.key}" if self.key else self.root

    def __truediv__(self, name: str | Path) -> ObjectPath:
        return ObjectPath(self.root, f"{self.key}/{name}" if self.key else str(name))

    @property
    def objects(self) -> Objects:
        """The bucket that it is in."""
        return open_objects(self.root)

    @property
    def name(self) -> str:
        """The last part of its key."""
        return self.key.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The end of its name, from the last dot on; empty where there is none."""
        return Path(self.name).suffix

    @property
    def stem(self) -> str:
        """Its name without the suffix."""
        return Path(self.name).stem

    @property
    def parent(self) -> ObjectPath:
        """The folder that it is in; the bucket is in itself."""
        return ObjectPath(self.root, self.key.rpartition("/")[0])

    @property
    def parents(self) -> Iterator[ObjectPath]:
        """The folders that it is in, the closest first."""
        place = self
        while place.key:
            place = place.parent
            yield place

    def with_name(self, name: str) -> ObjectPath:
        """Return the place of another name in the same folder."""
        return self.parent / name

    def with_suffix(self, suffix: str) -> ObjectPath:
        """Return the place of the same name with another suffix."""
        return self.with_name(self.stem + suffix)

    def resolve(self) -> ObjectPath:
        """Return the same place: there are no links."""
        return self

    def absolute(self) -> ObjectPath:
        """Return the same place: there is no folder to be in."""
        return self

    def is_symlink(self) -> bool:
        """Return False: there are no links."""
        return False

    def exists(self) -> bool:
        """Return whether there is an object of this name, or a folder.

        Raises:
            StorageError: The store refuses or is away.
        """
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """Return whether there is an object of this name; the errors are those of `exists`."""
        return bool(self.key) and self.objects.head(self.key) is not None

    def is_dir(self) -> bool:
        """Return whether there is anything in a folder of this name; the errors are those of `exists`."""
        return self.objects.holds_any(self.key)

    def names(self) -> list[str]:
        """Return the names of the objects right in this folder, sorted; the errors are those of `exists`."""
        skipped = len(self.key) + 1 if self.key else 0
        found = (each.key[skipped:] for each in self.objects.below(self.key))
        return [name for name in found if "/" not in name]

    def read_bytes(self) -> bytes:
        """Return the whole object.

        Raises:
            FileNotFoundError: There is none.
            StorageError: The store refuses or is away.
        """
        return self.objects.get(self.key)


Place: TypeAlias = Path | ObjectPath
"""A folder or a file on a disk, or what takes its place in object storage."""


_BUCKET: Final = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]*")
"""What the stores allow in the name of a bucket, or a little more; the library that speaks to them panics at others."""

_NOWHERE: Final = {".", ".."}


def is_url(text: str) -> bool:
    """Return whether a text names a place in object storage."""
    scheme, found, _ = text.partition("://")
    return bool(found) and scheme in SCHEMES


def place_of(text: str | Place) -> Place:
    """Return the place that a text names: a path, or a URL of object storage.

    Raises:
        UsageError: It is a URL of something else.
    """
    if not isinstance(text, str):
        return text
    scheme, found, rest = text.partition("://")
    if not found:
        return Path(text)
    bucket, _, key = rest.partition("/")
    parts = [part for part in key.split("/") if part]
    if scheme not in SCHEMES or not _BUCKET.fullmatch(bucket) or not _NOWHERE.isdisjoint(parts):
        raise UsageError(
            f"{text} is neither a folder nor a place in object storage",
            hint='write it as s3://BUCKET/PREFIX, without "." and ".."; gs:// and az:// do as well',
        )
    return ObjectPath(f"{scheme}://{bucket}", "/".join(parts))


def label(place: Place) -> str:
    """Return what people call a session that is at a place: the name of its folder or file, or its id."""
    return place.name.removeprefix(SESSION_KEY)


def local(place: Place, what: str) -> Path:
    """Return a place on a disk.

    Args:
        place: What must be there.
        what: What is to be done there, for the error.

    Raises:
        UsageError: It is in object storage.
    """
    if isinstance(place, Path):
        return place
    raise UsageError(f"{what} needs a folder on a disk, found {place}", hint="name one with --library")
