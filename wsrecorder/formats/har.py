"""HAR: what a browser's network panel saves, here for the WebSocket messages in it.

HAR 1.2 knows no WebSockets; Chromium's DevTools put them into a member of their own, ``_webSocketMessages``, at the
entry of the request that opened the connection, and others (Playwright's ``recordHar``) write the same::

    {"type": "send" | "receive", "time": 1764000000.123456, "opcode": 1 | 2, "data": "…"}

``time`` is UTC, in seconds (DevTools) or milliseconds (Playwright) since the epoch; ``data`` is base64 if the opcode
is 2. DevTools sort the members of an entry by name, so the messages stand before the URL: a file is therefore read
twice, once to find the connections and once to read their messages, all of them at a time in the order of their times.
"""

from __future__ import annotations

import base64
import binascii
import heapq
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from operator import itemgetter
from typing import Any, BinaryIO, Final, TypeAlias, cast

import msgspec

from wsrecorder.core.dialect import ENGINE, Dialect, EnvelopeReader
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.errors import SessionError
from wsrecorder.formats.builder import EventBuilder
from wsrecorder.formats.har_entries import Runs, Socket, find_sockets
from wsrecorder.formats.json_scan import JsonScanner
from wsrecorder.formats.lines import Lines, excerpt

__all__ = ["HarReader", "is_har"]

_FROM_MS: Final = 100_000_000_000  # as seconds the year 5138, as milliseconds 1973
_LATEST_NS: Final = 2**63 - 1
_DIRECTIONS: Final = {"send": Direction.OUT, "receive": Direction.IN}
_CAUSE: Final = "a HAR does not hold when and why a connection ended"

_Placed: TypeAlias = tuple[int, int, int, Kind, Direction, str | None, bytes | None, str]
"""Time (ns), rank among those of the same time, conn, kind, direction, text, binary, detail."""

_FIRST, _FRAME, _LAST = -1, 0, 1


class _Message(msgspec.Struct, gc=False):
    type: str
    time: msgspec.Raw
    data: str
    opcode: int = 1


class _Mark(msgspec.Struct, gc=False):
    """What our own export adds, in the member ``_wsrecMarks`` of the log."""

    kind: Kind
    conn: int
    time: msgspec.Raw
    detail: str


@dataclass(slots=True)
class _Counts:
    """What is left out, or has to be said."""

    untimed: int = 0
    others: dict[str, int] = field(default_factory=dict)


def is_har(head: bytes) -> bool:
    """Return whether a file that begins with these bytes looks like a HAR."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").replace(b" ", b"").replace(b"\n", b"").startswith(b'{"log":{')


class HarReader:
    """Reads the WebSocket connections of a HAR, each as a connection of the session.

    Attributes:
        feed: URL of the first connection.
        notes: What should be said of the file, complete once all of it was read.

    Args:
        lines: The file; a pipe is copied into a temporary file first.
        dialect: Of the feed; None is the engine's.
        clean_url: Takes the credentials out of a URL before it becomes part of an event.
    """

    def __init__(
        self, lines: Lines, dialect: Dialect | None = None, clean_url: Callable[[str], str] = lambda url: url
    ) -> None:
        self.feed = ""
        self.notes: list[str] = []
        self._lines = lines
        self._clean_url = clean_url
        self._events = EventBuilder(EnvelopeReader(dialect or ENGINE))
        self._counts = _Counts()

    def batches(self) -> Iterator[list[Event]]:
        """Yield the messages of all connections in the order of their times.

        Raises:
            SessionError: The file is no HAR, is cut off, or holds no WebSocket; the message names the byte.
        """
        with tempfile.TemporaryFile() as copy:
            yield from self._from(self._seekable(copy))
        self._note()
        yield self._events.take()

    def _from(self, file: BinaryIO) -> Iterator[list[Event]]:
        sockets, marks = find_sockets(file, self._lines.name, self._clean_url)
        self.feed = next((socket.url for socket in sockets if socket.url), "")
        sources = [self._of_socket(file, conn, socket, marks is not None) for conn, socket in enumerate(sockets)]
        if marks is not None:
            sources.append(self._of_marks(file, marks, len(sockets)))
        events = self._events
        merged = sources[0] if len(sources) == 1 else heapq.merge(*sources, key=itemgetter(0, 1))
        for time_ns, _, events.conn, kind, direction, text, binary, detail in merged:
            if text is not None:
                events.text(text, text.encode(), time_ns, direction)
            elif binary is not None:
                events.binary(binary, time_ns, direction)
            else:
                events.mark(kind, detail, time_ns)
            if events.is_full:
                yield events.take()

    def _seekable(self, copy: BinaryIO) -> BinaryIO:
        """Return the file, or if it is a pipe, a copy that can be read twice."""
        if self._lines.file.seekable():
            return self._lines.file
        shutil.copyfileobj(cast(BinaryIO, self._lines), copy, 1 << 20)
        self._lines.read_bytes = 0
        return copy

    def _of_socket(self, file: BinaryIO, conn: int, socket: Socket, has_marks: bool) -> Iterator[_Placed]:
        """Yield the events of a connection; where the file does not tell its beginning and end, they are its s."""
        last_ns = socket.began_ns
        is_open = has_marks
        opened = json.dumps({"url": socket.url})
        for offset, found in self._decoded(file, socket.runs, _MESSAGES, _ONE_MESSAGE):
            time_ns = self._epoch_ns(found.time, offset, last_ns)
            if not is_open:
                is_open = True
                yield _mark(time_ns if last_ns is None else min(time_ns, last_ns), conn, Kind.OPEN, opened)
            last_ns = time_ns
            direction = _DIRECTIONS.get(found.type)
            if direction is not None and found.opcode == 1:
                yield time_ns, _FRAME, conn, Kind.MESSAGE, direction, found.data, None, ""
            elif direction is not None and found.opcode == 2:
                binary = self._binary(found.data, offset)
                yield time_ns, _FRAME, conn, Kind.MESSAGE, direction, None, binary, ""
            else:
                self._leave_out(found)
        if last_ns is None or has_marks:
            return
        if not is_open:
            yield _mark(last_ns, conn, Kind.OPEN, opened)
        yield _mark(last_ns, conn, Kind.CLOSE, json.dumps({"code": 1006, "reason": "", "cause": _CAUSE}))

    def _of_marks(self, file: BinaryIO, runs: Runs, conns: int) -> Iterator[_Placed]:
        for offset, found in self._decoded(file, runs, _MARKS, _ONE_MARK):
            if found.kind is Kind.MESSAGE or not 0 <= found.conn < max(conns, 1) or not _is_json(found.detail):
                raise self._damaged(f"no mark: {found.kind} of connection {found.conn}", offset)
            time_ns = self._epoch_ns(found.time, offset, None)
            yield _mark(time_ns, found.conn, found.kind, self._cleaned(found.detail))

    def _cleaned(self, detail: str) -> str:
        """Return the detail of a mark with its URL as it may be kept."""
        said = msgspec.json.decode(detail)
        url = said.get("url") if isinstance(said, dict) else None
        if not isinstance(url, str) or (clean := self._clean_url(url)) == url:
            return detail
        return json.dumps(said | {"url": clean})

    def _decoded(
        self, file: BinaryIO, runs: Runs, many: msgspec.json.Decoder[Any],
        one: msgspec.json.Decoder[Any],
    ) -> Iterator[tuple[int, Any]]:  # fmt: skip
        """Yield the items of runs, each with where its run begins."""
        for offset, size_bytes in runs:
            file.seek(offset)
            run = b"[" + file.read(size_bytes) + b"]"
            self._lines.read_bytes += size_bytes
            try:
                found = many.decode(run)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                raise self._wrong_one(run, offset, one) from None
            for item in found:
                yield offset, item

    def _wrong_one(self, run: bytes, offset: int, decoder: msgspec.json.Decoder[Any]) -> SessionError:
        """Return the error of the item that is wrong among the many that are decoded at a time."""
        items = JsonScanner(io.BytesIO(run), self._lines.name)
        for _ in items.items():
            items.peek()
            place = offset + items.offset - 1
            text = items.value()
            try:
                decoder.decode(text)
            except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
                return self._damaged(f"{exc}: {excerpt(text)}", place)
        return self._damaged("the messages are no list of objects", offset)

    def _binary(self, data: str, offset: int) -> bytes:
        try:
            return base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            problem = f"a binary message from here on is not base64: {excerpt(data.encode())}"
            raise self._damaged(problem, offset) from None

    def _damaged(self, problem: str, offset: int) -> SessionError:
        return SessionError(
            f"{self._lines.name}, byte {offset:,}: {problem}", hint="docs/formats.md tells what a HAR holds"
        )

    def _leave_out(self, found: _Message) -> None:
        what = f"with opcode {found.opcode}" if found.type in _DIRECTIONS else f"of type {found.type}"
        self._counts.others[what] = self._counts.others.get(what, 0) + 1

    def _epoch_ns(self, written: msgspec.Raw, offset: int, last_ns: int | None) -> int:
        """Return a time as ns by its digits, as a binary fraction is only good to about 240 ns here."""
        digits = bytes(written)
        whole, _, fraction = digits.partition(b".")
        time_ns: int
        try:
            if whole.isdigit() and (fraction.isdigit() or not fraction):
                scale = 6 if int(whole) >= _FROM_MS else 9
                time_ns = int(whole) * 10**scale + int(fraction[:scale].ljust(scale, b"0") or b"0")
            else:
                value = min(Decimal(digits.decode()), Decimal(_LATEST_NS))  # such as 1.7e9; never a million digits
                time_ns = int(value * (1_000_000 if value >= _FROM_MS else 1_000_000_000))
        except (InvalidOperation, ValueError, OverflowError):
            raise self._damaged(f"expected a time in seconds, found {excerpt(digits)}", offset) from None
        if time_ns < 0:
            if last_ns is None:
                raise self._damaged("neither the message nor its entry has a time", offset)
            self._counts.untimed += 1
            return last_ns
        if time_ns > _LATEST_NS:
            raise self._damaged(f"time {digits.decode()} is after the year 2262", offset)
        return time_ns

    def _note(self) -> None:
        counts = self._counts
        if counts.untimed:
            self.notes.append(f"{counts.untimed:,} messages have no time: they are placed with what is before them")
        self.notes += [f"{count:,} messages {what} were left out" for what, count in counts.others.items()]
        self.notes += self._events.notes()


_MESSAGES: Final = msgspec.json.Decoder(list[_Message])
_ONE_MESSAGE: Final = msgspec.json.Decoder(_Message)
_MARKS: Final = msgspec.json.Decoder(list[_Mark])
_ONE_MARK: Final = msgspec.json.Decoder(_Mark)


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return False
    return True


def _mark(time_ns: int, conn: int, kind: Kind, detail: str) -> _Placed:
    return time_ns, _FIRST if kind is Kind.OPEN else _LAST, conn, kind, Direction.IN, None, None, detail
