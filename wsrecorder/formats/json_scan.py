"""Walks through a JSON file of any size in bounded memory, and says where things are.

A parser that reads all of it at once cannot take a file larger than the memory; this one is asked for members
and items one after the other, and passes over what nobody wants. What is passed over is only checked for its
brackets and quotes.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec

from wsrecorder.errors import SessionError
from wsrecorder.formats.lines import excerpt, other_encoding

__all__ = ["MOST_VALUE_BYTES", "JsonScanner"]

MOST_VALUE_BYTES: Final = 450 << 20
"""A frame of 64 MiB whose every byte is written as ``\\u0000``, and room for what stands around it."""

_CHUNK_BYTES: Final = 1 << 20

# What matched is never tried another way: possessive, but for groups, since Python before 3.11.5 takes back what a
# group that is repeated so has matched (gh-106052). Their alternatives begin with different bytes, which is as good.
_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*"'
_FLAT_OBJECT: Final = rb'\{(?:[^"{}\[\]]++|' + _STRING + rb")*\}"

_SPACE: Final = re.compile(rb"[ \t\r\n]*+")
_SCALAR: Final = re.compile(rb'[^"{}\[\],:\s]++')
_WHOLE_STRING: Final = re.compile(_STRING, re.DOTALL)
_IN_STRING: Final = re.compile(rb'(?:[^"\\]++|\\.)*', re.DOTALL)
_STEP: Final = re.compile(
    rb'[^"{}\[\]]*+(?:(?P<whole>' + _FLAT_OBJECT + rb"|" + _STRING + rb")|(?P<open>[{\[])|(?P<close>[}\]]))", re.DOTALL
)
_FLAT_OBJECTS: Final = re.compile(_FLAT_OBJECT + rb"(?:\s*+,\s*+" + _FLAT_OBJECT + rb"){0,255}", re.DOTALL)
_HINT: Final = "is it the whole file? docs/formats.md describes the formats"


class JsonScanner:
    """Stands at one place of a JSON file and moves forward.

    Args:
        file: Read from ``offset`` on; must be seekable. Nobody else may read it meanwhile, except between two calls.
        name: For messages.
        offset: Where to begin, bytes from the file's beginning.
    """

    def __init__(self, file: BinaryIO, name: str, offset: int = 0) -> None:
        self.name = name
        self._file = file
        self._buffer = b""
        self._at = 0
        self._base = offset
        if offset == 0:
            self._begin()

    @property
    def offset(self) -> int:
        """Where it stands, bytes from the file's beginning."""
        return self._base + self._at

    def damaged(self, problem: str, offset: int | None = None) -> SessionError:
        """Return the error that names a place of the file; without one, where it stands."""
        place = self.offset if offset is None else offset
        return SessionError(f"{self.name}, byte {place:,}: {problem}", hint=_HINT)

    def peek(self) -> bytes:
        """Return the next byte that is no white space, without passing it.

        Raises:
            SessionError: The file ends here.
        """
        while True:
            match = _SPACE.match(self._buffer, self._at)
            assert match is not None
            self._at = match.end()
            if self._at < len(self._buffer):
                return self._buffer[self._at : self._at + 1]
            self._more()

    def members(self) -> Iterator[str]:
        """Yield the keys of the object that begins here; before the next one its value must have been passed.

        Raises:
            SessionError: There is no object, or it is malformed.
        """
        for _ in self._elements(b"{", b"}"):
            key = self.value(1 << 16)
            try:
                found = msgspec.json.decode(key, type=str)
            except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
                raise self.damaged(f"expected a key, found {excerpt(key)}") from exc
            self._expect(b":")
            yield found

    def items(self) -> Iterator[None]:
        """Yield at each value of the list that begins here; before the next one it must have been passed.

        Raises:
            SessionError: There is no list, or it is malformed.
        """
        return self._elements(b"[", b"]")

    def value(self, most_bytes: int = MOST_VALUE_BYTES) -> bytes:
        """Pass the value that begins here and return its JSON text.

        Raises:
            SessionError: It is malformed, cut off, or longer than ``most_bytes``.
        """
        self.peek()
        began = self.offset
        while True:
            end = self._end_of_value()
            if end is not None:
                found = self._buffer[self._at : end]
                self._at = end
                return found
            if len(self._buffer) - self._at > most_bytes:
                raise self.damaged(f"a value of more than {most_bytes:,} bytes", began)
            self._more()

    def runs(self) -> Iterator[tuple[int, int]]:
        """Pass the list of objects that begins here; yield offset and size of runs of them, with commas between.

        Objects without objects in them are found at the speed of a regular expression, a few hundred at a time.

        Raises:
            SessionError: There is no list, it is cut off, or an item is no object.
        """
        for _ in self.items():
            if (first := self.peek()) != b"{":
                raise self.damaged(f"expected an object, found {excerpt(first)}")
            offset = self.offset
            match = _FLAT_OBJECTS.match(self._buffer, self._at)
            if match is None:
                self.value()
            else:
                self._at = match.end()
            yield offset, self.offset - offset

    def skip(self) -> None:
        """Pass the value that begins here, whatever its size.

        Raises:
            SessionError: It is malformed or cut off.
        """
        if self.peek() not in (b'"', b"{", b"["):
            self.value(1 << 16)
            return
        depth = 0
        while True:
            if match := _STEP.match(self._buffer, self._at):
                self._at = match.end()
                depth += (match.lastgroup == "open") - (match.lastgroup == "close")
            elif not self._skip_long_string():
                self._more()
                continue
            if depth <= 0:
                return

    def _skip_long_string(self) -> bool:
        """Pass a string that is longer than a chunk, piece by piece; return False if more must be read to see one."""
        quote = self._buffer.find(b'"', self._at)
        self._at = quote if quote >= 0 else len(self._buffer)  # up to there it is nothing but numbers
        if len(self._buffer) - self._at < _CHUNK_BYTES:
            return False
        self._at += 1
        while True:
            match = _IN_STRING.match(self._buffer, self._at)
            assert match is not None
            self._at = match.end()
            if self._buffer[self._at : self._at + 1] == b'"':
                self._at += 1
                return True
            self._more()

    def _begin(self) -> None:
        self._more()
        if wrong := other_encoding(self._buffer):
            raise self.damaged(f"the file is {wrong}, expected UTF-8")
        if self._buffer.startswith(codecs.BOM_UTF8):
            self._at = len(codecs.BOM_UTF8)

    def _elements(self, opening: bytes, closing: bytes) -> Iterator[None]:
        self._expect(opening)
        if self.peek() == closing:
            self._at += 1
            return
        while True:
            yield
            found = self.peek()
            if found not in (b",", closing):
                raise self.damaged(f"expected , or {closing.decode()}, found {excerpt(found)}")
            self._at += 1
            if found == closing:
                return

    def _expect(self, wanted: bytes) -> None:
        if (found := self.peek()) != wanted:
            raise self.damaged(f"expected {wanted.decode()}, found {excerpt(found)}")
        self._at += 1

    def _end_of_value(self) -> int | None:
        """Return where the value that begins here ends in the buffer; None if it goes on behind it."""
        first = self._buffer[self._at : self._at + 1]
        if first == b'"':
            match = _WHOLE_STRING.match(self._buffer, self._at)
            return match.end() if match else None
        if first not in (b"{", b"["):
            match = _SCALAR.match(self._buffer, self._at)
            if match is None:
                raise self.damaged(f"expected a value, found {excerpt(first)}")
            return match.end() if match.end() < len(self._buffer) else None
        depth = 0
        at = self._at
        while match := _STEP.match(self._buffer, at):
            at = match.end()
            depth += (match.lastgroup == "open") - (match.lastgroup == "close")
            if depth <= 0:
                return at
        return None

    def _more(self) -> None:
        """Read on, at least as much again as there is: a long value is looked at a few times, not thousands.

        Raises:
            SessionError: The file ends here.
        """
        kept = self._buffer[self._at :]
        self._file.seek(self._base + len(self._buffer))
        chunk = self._file.read(max(_CHUNK_BYTES, len(kept)))
        if not chunk:
            end = self._base + len(self._buffer)
            raise self.damaged("the file ends in the middle" if end else "the file is empty", end)
        self._base += self._at
        self._at = 0
        self._buffer = kept + chunk
