"""Where the WebSockets of a HAR are: the first of two walks through the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO, Final, TypeAlias

import msgspec

from wsrecorder.core.event import to_epoch_ns
from wsrecorder.errors import SessionError
from wsrecorder.formats.json_scan import JsonScanner
from wsrecorder.formats.lines import excerpt

__all__ = ["Runs", "Socket", "find_sockets"]

Runs: TypeAlias = list[tuple[int, int]]
"""Where objects of a list stand, some hundreds at a time: offset and size, bytes."""

_RUN_BYTES: Final = 64 << 10
_HINT: Final = "record it with the network panel open before the connection is made, or with recordHar"


@dataclass(slots=True)
class Socket:
    """An entry that is a WebSocket.

    Attributes:
        url: Of its request.
        began_ns: When the request was made, UTC ns since the epoch; None where the file does not say.
        runs: Where its messages stand.
        is_elsewhere: Whether they were kept in a file of their own.
        is_socket: Whether it is one after all.
    """

    url: str = ""
    began_ns: int | None = None
    runs: Runs = field(default_factory=list)
    is_elsewhere: bool = False
    is_socket: bool = False


def find_sockets(file: BinaryIO, name: str, clean_url: Callable[[str], str]) -> tuple[list[Socket], Runs | None]:
    """Return the WebSocket entries of a HAR, and where the marks of our own export stand, if it is one.

    Args:
        file: Read from its beginning.
        name: For messages.
        clean_url: Takes the credentials out of a URL.

    Raises:
        SessionError: The file is no HAR, is cut off, or holds no WebSocket; the message names the byte.
    """
    scanner = JsonScanner(file, name)
    sockets: list[Socket] = []
    marks: Runs | None = None
    entries = 0
    if scanner.peek() != b"{":
        raise scanner.damaged('no HAR: expected a JSON object with the member "log"')
    is_log = False
    for key in scanner.members():
        if key != "log":
            scanner.skip()
            continue
        is_log = True
        for part in scanner.members():
            if part == "entries":
                for _ in scanner.items():
                    entries += 1
                    socket = _entry(scanner, clean_url)
                    if socket.is_socket:
                        sockets.append(socket)
            elif part == "_wsrecMarks":
                marks = _runs(scanner)
            else:
                scanner.skip()
    if not is_log:
        raise scanner.damaged('no HAR: expected an object with the member "log"', 0)
    _check(name, sockets, entries)
    return sockets, marks


def _check(name: str, sockets: list[Socket], entries: int) -> None:
    if not sockets:
        raise SessionError(
            f"{name} holds no WebSocket: none of its {entries:,} entries has _webSocketMessages", hint=_HINT
        )
    if any(socket.is_elsewhere for socket in sockets):
        raise SessionError(
            f"{name} keeps the messages of its WebSockets in files beside it",
            hint='record it with the contents embedded: record_har_content="embed"',
        )


def _entry(scanner: JsonScanner, clean_url: Callable[[str], str]) -> Socket:
    socket = Socket()
    for key in scanner.members():
        if key == "_webSocketMessages" and scanner.peek() == b"[":
            socket.is_socket = True
            socket.runs = _runs(scanner)
        elif key == "_resourceType":
            socket.is_socket |= scanner.value(1 << 16) == b'"websocket"'
        elif key == "startedDateTime":
            socket.began_ns = _iso_ns(_word(scanner))
        elif key == "request" and scanner.peek() == b"{":
            for part in scanner.members():
                if part == "url":
                    socket.url = clean_url(_word(scanner))
                else:
                    scanner.skip()
        elif key == "response" and scanner.peek() == b"{":
            socket.is_elsewhere = _is_elsewhere(scanner)
        else:
            scanner.skip()
    socket.is_socket |= socket.url.startswith(("ws://", "wss://"))
    return socket


def _is_elsewhere(scanner: JsonScanner) -> bool:
    """Pass a response and return whether its content is lines in another file."""
    found = False
    for key in scanner.members():
        if key == "content" and scanner.peek() == b"{":
            for part in scanner.members():
                if part == "_file":
                    found = _word(scanner).endswith(".jsonl")
                else:
                    scanner.skip()
        else:
            scanner.skip()
    return found


def _runs(scanner: JsonScanner) -> Runs:
    """Pass a list of objects and return where they stand, small ones put together."""
    found: Runs = []
    for offset, size_bytes in scanner.runs():
        if found and found[-1][1] < _RUN_BYTES:
            offset = found[-1][0]
            size_bytes = scanner.offset - offset
            found[-1] = offset, size_bytes
        else:
            found.append((offset, size_bytes))
    return found


def _word(scanner: JsonScanner) -> str:
    text = scanner.value(1 << 20)
    try:
        return str(msgspec.json.decode(text, type=str))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise scanner.damaged(f"expected text, found {excerpt(text)}") from None


def _iso_ns(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return to_epoch_ns(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
