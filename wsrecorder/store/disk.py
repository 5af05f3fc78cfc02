"""The filesystem seam: all that the store asks of a disk, with its errors told apart.

What is made here is its owner's alone, whatever the umask: a recording may hold anything. What is written never goes
through a symbolic link, since a session may come from somebody else.

What is in object storage stands behind `wsrecorder.store.place` instead: it is never changed in place, so that most
of this has no meaning there.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from wsrecorder.errors import SessionError, StorageError
from wsrecorder.store.place import ObjectPath, Place

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "append_to",
    "cause_of",
    "create",
    "create_anew",
    "discard",
    "free_bytes",
    "is_there",
    "list_names",
    "make_directory",
    "make_folders",
    "move_aside",
    "nearest",
    "open_for_arrow",
    "private",
    "publish",
    "refuse_link",
    "remove",
    "replace_atomically",
    "says_full",
    "storage_errors",
    "sync",
    "sync_directory",
    "sync_name",
    "truncate",
]

_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600

_HINTS = {
    errno.ELOOP: "it is a symbolic link, which is not written through: see where it leads, and remove it",
    errno.ENOSPC: "free some space or name another place with --library; what was recorded is intact",
    errno.EDQUOT: "free some space or name another place with --library; what was recorded is intact",
    errno.EROFS: "name a place that can be written with --library",
    errno.EACCES: "give yourself the right to write there, or name another place with --library",
    errno.EPERM: "give yourself the right to write there, or name another place with --library",
    errno.ENOTDIR: "name a folder with --library: a part of this path is a file",
}


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Translate what the operating system says of ``path`` into a `StorageError`."""
    try:
        yield
    except OSError as exc:
        # Arrow's own words are long, and the same.
        reason = os.strerror(exc.errno) if exc.errno else str(exc)
        raise StorageError(
            f"cannot use {path}: {reason}",
            hint=_HINTS.get(exc.errno or 0, "check the disk; what was synced before is intact"),
        ) from exc


_FULL = (errno.ENOSPC, errno.EDQUOT)


def says_full(reason: object) -> bool:
    """Return whether an error says that there is no room: by its number, or in its words where it has none."""
    number = getattr(reason, "errno", None)
    return number in _FULL if number else any(os.strerror(code) in str(reason) for code in _FULL)


def cause_of(error: StorageError) -> str:
    """Return in a few words what a disk says, without the path: for a place that outlives it."""
    reason = error.__cause__ or error.message
    number = getattr(reason, "errno", None)
    words = os.strerror(number) if number else str(reason).splitlines()[0].rpartition('": ')[2]
    return f"{'disk full' if says_full(reason) else 'disk error'}: {words}"


def make_directory(path: Path, *, exist_ok: bool = True) -> None:
    """Create a folder and its parents.

    Raises:
        FileExistsError: It is there and must not be.
        StorageError: The disk refuses.
    """
    try:
        make_folders(path, exist_ok=exist_ok)
    except FileExistsError:
        if not exist_ok:
            raise
        raise StorageError(
            f"{path} is a file, expected a folder", hint="name another place with --library or remove the file"
        ) from None
    except OSError:
        with storage_errors(path):
            raise


def make_folders(path: Path, *, exist_ok: bool = True) -> None:
    """Create a folder and its parents, so that a power loss does not take them away with all that is in them.

    Raises:
        OSError: The disk refuses.
    """
    missing = [folder for folder in path.parents if not folder.exists()][::-1]
    for parent in missing:
        parent.mkdir(mode=_FOLDER_MODE, exist_ok=True)
    is_new = not path.exists()
    path.mkdir(mode=_FOLDER_MODE, exist_ok=exist_ok)
    for folder in (*missing, path) if is_new else missing:
        sync_directory(folder.parent)


def create(path: Path) -> IO[bytes]:
    """Open a new file for writing, buffered; it must not be there yet."""
    with storage_errors(path):
        return _open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, "wb")


def create_anew(path: Path) -> IO[bytes]:
    """Open a file for writing and reading, in place of one that a crash may have left by that name."""
    with storage_errors(path):
        path.unlink(missing_ok=True)
        return _open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, "w+b")


def append_to(path: Path) -> IO[bytes]:
    """Open a file to write at its end, and to read; it is made where there is none."""
    with storage_errors(path):
        return _open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _NO_LINK, "a+b")


_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)


def _open(path: Path, flags: int, mode: str) -> IO[bytes]:
    return os.fdopen(os.open(path, flags, _FILE_MODE), mode, 1 << 20)


_private_lock: Final = threading.Lock()
_private: list[int] = []
"""The umask that was there before, once for each block that is inside of `private`."""


@contextmanager
def private() -> Iterator[None]:
    """Have whatever is made within the block be its owner's alone, for libraries that make files of their own.

    It sets the umask, which is the whole process's: others may find their files private too, never the reverse.
    """
    with _private_lock:
        _private.append(os.umask(0o077) if not _private else _private[0])
    try:
        yield
    finally:
        with _private_lock:
            before = _private.pop()
            if not _private:
                os.umask(before)


def refuse_link(path: Place) -> None:
    """Refuse a symbolic link within a session: it may come from somebody else, and lead anywhere.

    Raises:
        SessionError: It is one.
    """
    if path.is_symlink():
        raise SessionError(
            f"{path} is a symbolic link, and a session keeps its files itself",
            hint="put the file there that it leads to, if you know why it is there; else remove it",
        )


def open_for_arrow(path: Path) -> pa.NativeFile:
    """Open a file for Arrow to write, from its beginning."""
    import pyarrow as pa  # late: who only looks at names need not wait for it

    # Arrow writes by itself: through a Python file each of its some 80 small writes a batch would
    # wait its turn for the interpreter, behind an event loop that is busy receiving.
    return pa.OSFile(str(path), "wb")


def list_names(path: Place) -> list[str]:
    """Return the names in a folder, sorted; none where there is no folder.

    Unlike a glob it does not take a folder that may not be read for an empty one.
    """
    if isinstance(path, ObjectPath):
        return path.names()
    try:
        return sorted(entry.name for entry in path.iterdir())
    except FileNotFoundError:
        return []
    except OSError:
        with storage_errors(path):
            raise


def is_there(file: IO[bytes], path: Path) -> bool:
    """Return whether an open file is still what stands at a path: nobody removed it, or moved it away."""
    try:
        found = path.stat()
    except OSError:
        return False
    held = os.fstat(file.fileno())
    return (found.st_ino, found.st_dev) == (held.st_ino, held.st_dev)


def move_aside(path: Path, suffix: str) -> Path:
    """Rename a file out of the way, to a name that nobody has yet, and return it."""
    aside = path.with_name(path.name + suffix)
    number = 2
    while aside.exists():
        aside = path.with_name(f"{path.name}{suffix}{number}")
        number += 1
    publish(path, aside)
    return aside


def free_bytes(path: Path) -> int:
    """Return how much may still be written to the disk of a path, bytes; the path need not be there yet.

    Raises:
        StorageError: The disk does not say.
    """
    place = nearest(path)
    with storage_errors(place):
        return shutil.disk_usage(place).free


def nearest(path: Path) -> Path:
    """Return a path if it is there, else the nearest folder above that is."""
    return next((folder for folder in (path, *path.absolute().parents) if folder.exists()), path)


def sync(file: IO[bytes]) -> None:
    """Hand all that was written to the disk itself, past every cache."""
    file.flush()
    # fdatasync leaves out the time stamps of the inode; macOS has only fsync.
    getattr(os, "fdatasync", os.fsync)(file.fileno())


def sync_directory(path: Path) -> None:
    """Make new and renamed entries of a folder survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        # Some network filesystems cannot sync a folder; they order renames themselves.
        if exc.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def truncate(path: Path, size_bytes: int) -> None:
    """Cut a file to a size, for good: what was behind does not come back after a power loss."""
    with storage_errors(path), path.open("r+b") as file:
        file.truncate(size_bytes)
        os.fsync(file.fileno())  # the size is what matters here, which fdatasync may leave for later


def sync_name(path: Path, known_inode: int | None = None) -> int | None:
    """Make a file's name survive a power loss, unless the file is one whose name was made to already.

    For files of those who sync what they write, but not names.

    Returns:
        The file's inode; None when there is no file.
    """
    inode = path.stat().st_ino if path.exists() else None
    if inode != known_inode:
        sync_directory(path.parent)
    return inode


def publish(temporary: Path, path: Path) -> None:
    """Give a synced file its final name, so that a reader sees all of it or nothing."""
    with storage_errors(path):
        temporary.replace(path)
        sync_directory(path.parent)


def replace_atomically(path: Path, content: bytes) -> None:
    """Write a whole small file so that a reader sees the old one or the new one."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with storage_errors(path), create_anew(temporary) as file:
            file.write(content)
            sync(file)
        publish(temporary, path)
    except StorageError:
        discard(temporary)
        raise


def remove(path: Path) -> None:
    """Remove a file; nothing happens where there is none."""
    with storage_errors(path):
        path.unlink(missing_ok=True)


def discard(temporary: Path) -> None:
    """Remove a file that did not come to be, before it fills the disk; what went wrong before is what counts."""
    with suppress(OSError):
        temporary.unlink()
