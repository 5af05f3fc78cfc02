"""A file of lines, read a block at a time in bounded memory, each line with its number.

What goes wrong in a line is said with the file's name and the line's number (`Lines.damaged`). A line
that cannot be read is an error, except at the very end: there it was cut short, which is ordinary for a
file whose writer was killed or is still at work. `Tail` tells the two apart.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import BinaryIO, Final

from wsrecorder.errors import SessionError

__all__ = ["Lines", "Tail", "cut_short", "excerpt", "is_closed_json", "other_encoding"]

_CHUNK_BYTES: Final = 1 << 20

_MOST_LINE_BYTES: Final = 300 << 20
"""A frame of 64 MiB whose every byte is written as ``\\x00``, and room for what stands around it."""

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_OTHER_ENCODINGS: Final = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


class Lines:
    r"""The lines of a file, without their ends.

    A line ends at ``\n``; at ``\r\n`` in a file whose first line does. A byte order mark is skipped.

    Attributes:
        name: The file's name, for messages.
        file: The file itself.
        read_bytes: How much of the file was read so far; whoever reads ``file`` himself tells it here.

    Args:
        file: Read from where it stands; stays open.
        name: For messages.
        most_bytes: Longest line that is taken.
    """

    def __init__(self, file: BinaryIO, name: str, *, most_bytes: int = _MOST_LINE_BYTES) -> None:
        self.name = name
        self.read_bytes = 0
        self.file = file
        self._most_bytes = most_bytes

    def read(self, size_bytes: int) -> bytes:
        """Return the next bytes as they are, for formats that are no lines; none at the end."""
        chunk = self.file.read(size_bytes)
        self.read_bytes += len(chunk)
        return chunk

    def numbered(self) -> Iterator[tuple[int, bytes, bool]]:
        """Yield line number (from 1), line, and whether its end was there; only the last line can lack it.

        Raises:
            SessionError: A line is too long, or the file is UTF-16 or UTF-32.
        """
        number = 0
        ending = b""
        for block, is_ended in self._blocks():
            for line in block:
                number += 1
                if number == 1:
                    line = self._without_mark(line)
                    ending = b"\r" if line.endswith(b"\r") else b""
                yield number, line.removesuffix(ending) if ending else line, is_ended

    def damaged(self, number: int, problem: str, *, hint: str) -> SessionError:
        """Return the error that names a line."""
        return SessionError(f"{self.name}, line {number}: {problem}", hint=hint)

    def _blocks(self) -> Iterator[tuple[list[bytes], bool]]:
        """Yield the lines of each chunk; a line that spans chunks is put together once, however many."""
        begun: list[bytes] = []
        begun_bytes = number = 0
        while chunk := self.read(_CHUNK_BYTES):
            first, *others = chunk.split(b"\n")
            begun.append(first)
            begun_bytes += len(first)
            if begun_bytes > self._most_bytes:
                raise self.damaged(
                    number + 1,
                    f"longer than {self._most_bytes:,} bytes",
                    hint="is it a file of lines? --format names its format, docs/formats.md lists them",
                )
            if others:
                begun, rest = [others.pop()], b"".join(begun)
                begun_bytes = len(begun[0])
                number += 1 + len(others)
                yield [rest, *others], True
        if begun_bytes:
            yield [b"".join(begun)], False

    def _without_mark(self, line: bytes) -> bytes:
        if encoding := other_encoding(line):
            raise self.damaged(
                1, f"the file is {encoding}, expected UTF-8", hint="write it as UTF-8, for example with iconv"
            )
        return line.removeprefix(codecs.BOM_UTF8)


class Tail:
    """Holds back the error of a line until it is known whether another line follows.

    Attributes:
        cut: What to say of a last line that was cut short, or None.
    """

    def __init__(self) -> None:
        self.cut: str | None = None
        self._error: SessionError | None = None

    def hold(self, error: SessionError, number: int, line: bytes) -> None:
        """Take note of a line that cannot be read."""
        self._error = error
        self.cut = cut_short(number, line)

    def follow(self) -> None:
        """Another line follows: what is held was an error after all.

        Raises:
            SessionError: The one that is held.
        """
        if self._error is not None:
            raise self._error


def other_encoding(head: bytes) -> str | None:
    """Return the encoding that the first bytes of a file name, if it is not UTF-8."""
    return next((encoding for mark, encoding in _OTHER_ENCODINGS.items() if head.startswith(mark)), None)


def cut_short(number: int, line: bytes) -> str:
    """Return what to say of a last line that is not all there."""
    return f"line {number} is cut short and was left out ({len(line):,} bytes: {excerpt(line)})"


def excerpt(line: bytes) -> str:
    """Return the beginning of a line as it can be shown."""
    shown = line[:60].decode("ascii", "backslashreplace")
    return ascii(shown) + (" …" if len(line) > 60 else "")


def is_closed_json(text: str) -> bool:
    """Return whether a text is certainly all there, its line end or not: a closed JSON object or list."""
    try:
        return isinstance(json.loads(text), (dict, list))
    except (ValueError, RecursionError):
        return False
