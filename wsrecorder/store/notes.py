"""Notes on moments of a session, kept beside its events and never among them.

A session's events are what was received, sealed and checked; what people say of them later goes into a file of its
own, one JSON object a line, which only ever grows. ``docs/format.md`` specifies it. Whoever adds a note holds a lock on
the file (`flock`) while doing so; in object storage, the file is replaced unless somebody else was faster.
A line that a crash cut short is passed over, and the next note begins a new one.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from wsrecorder.errors import StorageError, UsageError
from wsrecorder.store import disk
from wsrecorder.store.place import ObjectPath, Place, local

__all__ = ["NOTES_NAME", "Note", "NoteBook", "notes_path"]

NOTES_NAME: Final = "notes.jsonl"

_LONGEST: Final = 10_000
_MOST_TRIES: Final = 20


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody says of a moment.

    Attributes:
        elapsed_ns: The moment, ns since the session began.
        received_ns: The same, UTC ns since the epoch.
        text: What is said.
        made_at_ns: When it was said, UTC ns since the epoch.
    """

    elapsed_ns: int
    received_ns: int
    text: str
    made_at_ns: int


@dataclass(slots=True)
class NoteBook:
    """The notes of a session.

    Attributes:
        store_path: Where the session is: its folder, or its DuckDB file.
        unreadable_lines: Lines that the last look at the file passed over.
    """

    store_path: Place
    unreadable_lines: int = 0

    @property
    def path(self) -> Place:
        """Where the notes are; nothing is there before the first."""
        return notes_path(self.store_path)

    def all(self) -> list[Note]:
        """Return all notes, by their moments; those of one moment in the order in which they were made.

        Raises:
            StorageError: The file is there and cannot be read.
        """
        disk.refuse_link(self.path)
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            content = b""
        except OSError:
            with disk.storage_errors(local(self.path, "reading notes")):
                raise
        lines = [line for line in content.split(b"\n") if line.strip()]
        found = [note for line in lines if (note := _read(line)) is not None]
        self.unreadable_lines = len(lines) - len(found)
        return sorted(found, key=lambda note: note.elapsed_ns)

    def add(self, text: str, *, elapsed_ns: int, received_ns: int, made_at_ns: int) -> Note:
        """Write a note, synced to the disk.

        Args:
            text: What is said, one line or several; spaces around it are left out.
            elapsed_ns: Of which moment, ns since the session began.
            received_ns: The same, UTC ns since the epoch.
            made_at_ns: The time now, UTC ns since the epoch.

        Returns:
            The note as it is kept.

        Raises:
            UsageError: The text is empty, or too long.
            StorageError: The disk refuses.
        """
        # A program may hand over half a surrogate pair, which no UTF-8 can hold.
        text = text.strip().encode(errors="replace").decode()
        if not text:
            raise UsageError("a note without text says nothing", hint="write what there is to see at that moment")
        if len(text) > _LONGEST:
            raise UsageError(f"a note of {len(text):,} characters is too long", hint=f"use at most {_LONGEST:,}")
        note = Note(elapsed_ns=elapsed_ns, received_ns=received_ns, text=text, made_at_ns=made_at_ns)
        line = msgspec.json.encode(note) + b"\n"
        path = self.path
        if isinstance(path, ObjectPath):
            _append_object(path, line)
        else:
            _append_file(path, line)
        return note


def notes_path(store_path: Place) -> Place:
    """Return where the notes of a session are: in its folder, or beside its DuckDB file."""
    if isinstance(store_path, ObjectPath) or store_path.is_dir():
        return store_path / NOTES_NAME
    return store_path.with_name(f"{store_path.name}.{NOTES_NAME}")


def _append_file(path: Path, line: bytes) -> None:
    is_new = not path.exists()
    with disk.storage_errors(path):
        with disk.append_to(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # let go of when the file is closed
            file.write(_separator(file) + line)
            disk.sync(file)
        if is_new:
            disk.sync_directory(path.parent)


def _append_object(path: ObjectPath, line: bytes) -> None:
    """Put the notes there with one more; again, where somebody else has done so meanwhile."""
    for _ in range(_MOST_TRIES):
        with suppress(FileExistsError):
            try:
                content, etag = path.objects.get_with_etag(path.key)
            except FileNotFoundError:
                path.objects.put_new(path.key, line)
            else:
                path.objects.put(path.key, content + line, instead_of=etag)
            return
    raise StorageError(f"{path} is changed by others all the time", hint="try again")


def _read(line: bytes) -> Note | None:
    try:
        return msgspec.json.decode(line, type=Note)
    except (msgspec.MsgspecError, ValueError):
        return None


def _separator(file: Any) -> bytes:
    """Return what parts a new line from a last one that was cut short."""
    size_bytes = file.seek(0, os.SEEK_END)
    if size_bytes == 0:
        return b""
    file.seek(size_bytes - 1)
    return b"" if file.read(1) == b"\n" else b"\n"
