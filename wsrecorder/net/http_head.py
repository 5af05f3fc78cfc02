"""Heads of HTTP/1.1 messages: read, and written again with some headers changed (RFC 9112)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

__all__ = ["END", "HttpHead"]

END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class HttpHead:
    """The head of a request or an answer.

    Attributes:
        start: Its first line.
        headers: Names and values in order, names as they were written.
    """

    start: str
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a head.

        Args:
            data: All of it, the empty line at its end included.

        Raises:
            ValueError: It is none.
        """
        start, *lines = data.removesuffix(END).decode("latin-1").split("\r\n")
        if len(start.split(" ", 2)) < 2 or "HTTP/1." not in start:
            raise ValueError(f"{start[:80]!r} begins no HTTP/1.1 message")
        headers = []
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise ValueError(f"{line[:80]!r} is no header")
            headers.append((name, value.strip(" \t")))
        return cls(start, tuple(headers))

    def get(self, name: str) -> str | None:
        """Return all values of a header joined by commas, None without one."""
        values = self.get_all(name)
        return ", ".join(values) if values else None

    def get_all(self, name: str) -> list[str]:
        """Return the values of a header, one for each time it comes."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def target(self) -> str:
        """The target of a request: path and query."""
        return self.start.split(" ", 2)[1]

    @property
    def status(self) -> int:
        """The status of an answer; 0 where it has none."""
        word = self.start.split(" ", 2)[1]
        return int(word) if word.isascii() and word.isdigit() else 0

    @property
    def is_upgrade(self) -> bool:
        """Whether a request asks for a WebSocket."""
        return "websocket" in (self.get("Upgrade") or "").lower()

    def with_headers(self, changes: Mapping[str, str | None]) -> HttpHead:
        """Return a head in which headers are replaced where they stand, added at the end, or, by None, left out."""
        left = {name.lower(): (name, value) for name, value in changes.items()}
        names = set(left)
        headers = []
        for name, value in self.headers:
            if name.lower() not in names:
                headers.append((name, value))
            elif (change := left.pop(name.lower(), None)) is not None and change[1] is not None:
                headers.append((name, change[1]))
        headers += [(name, value) for name, value in left.values() if value is not None]
        return HttpHead(self.start, tuple(headers))

    def encode(self) -> bytes:
        """Return its bytes."""
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join(lines).encode("latin-1") + END
