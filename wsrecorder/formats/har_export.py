"""Sessions as HAR: an entry a connection, its messages in ``_webSocketMessages``, as `wsrecorder.formats.har` has it.

Times are written with nine digits of a second, which JSON allows: whoever reads them into a binary fraction gets
what that can hold, about 240 ns. Marks, which a HAR has no place for, stand in ``_wsrecMarks``, a member of the log
(names that begin with ``_`` are free for that) that other readers pass over.
"""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import repeat
from typing import BinaryIO, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from wsrecorder.core.event import Direction, Kind, Opcode
from wsrecorder.formats.jsonl import iso_times
from wsrecorder.formats.seconds import all_seconds, seconds
from wsrecorder.formats.session_metadata import feed_of

__all__ = ["write_har"]

_TYPES: Final = {str(Direction.IN): "receive", str(Direction.OUT): "send"}
_ENCODER: Final = msgspec.json.Encoder()


class _Message(msgspec.Struct, gc=False):
    type: str
    time: msgspec.Raw
    opcode: int
    data: str | bytes


@dataclass(slots=True)
class _Connection:
    """A connection on its way into the file.

    Attributes:
        number: Of its entry.
        url: Of the feed.
        began_ns: Time of its first event, UTC ns since the epoch.
        ended_ns: Time of its last one.
        subprotocol: Which was agreed upon, or empty.
        is_closed: Whether it has ended.
        is_written: Whether its entry is complete.
        parts: What waits in the spool, offset and size.
        separator: What stands before its next messages.
    """

    number: int
    url: str
    began_ns: int
    ended_ns: int
    subprotocol: str = ""
    is_closed: bool = False
    is_written: bool = False
    parts: list[tuple[int, int]] = field(default_factory=list)
    separator: bytes = b""


def write_har(batches: Iterable[pa.RecordBatch], out: BinaryIO, schema: pa.Schema) -> list[str]:
    """Write record batches of a session's columns as a HAR.

    One connection at a time goes straight into the file; what others say meanwhile waits in a temporary file.

    Args:
        batches: Of ``schema``.
        out: Stays open; need not be seekable.
        schema: Its metadata names the session's feed.

    Returns:
        What the file does not hold.
    """
    with tempfile.TemporaryFile() as spool, tempfile.TemporaryFile() as marks:
        writer = _Writer(out, spool, marks, feed_of(schema))
        for batch in batches:
            writer.add(batch)
        return writer.finish()


class _Writer:
    def __init__(self, out: BinaryIO, spool: BinaryIO, marks: BinaryIO, feed: str) -> None:
        self._out = out
        self._spool = spool
        self._marks = marks
        self._feed = feed
        self._connections: dict[int, _Connection] = {}
        self._waiting: deque[_Connection] = deque()  # the first of them is being written
        self._batch_marks: list[tuple[int, bytes]] = []
        self._numbers = 0
        self._not_utf8 = 0
        creator = {"name": "wsrec", "version": version("wsrecorder")}
        head = _ENCODER.encode({"version": "1.2", "creator": creator, "pages": []})
        out.write(b'{"log":' + head[:-1] + b',"entries":[')

    def add(self, batch: pa.RecordBatch) -> None:
        """Write a batch, connection by connection."""
        conns = batch.column("conn")
        if len(batch) and pc.min(conns) != pc.max(conns):
            batch = batch.take(pc.sort_indices(batch, [("conn", "ascending"), ("seq", "ascending")]))
        ends = pc.run_end_encode(batch.column("conn"))
        start = 0
        for conn, stop in zip(ends.values.to_pylist(), ends.run_ends.to_pylist(), strict=True):
            self._add_run(conn, batch.slice(start, stop - start))
            start = stop
        self._write_marks()
        while self._waiting and self._waiting[0].is_closed:
            self._end_entry()

    def finish(self) -> list[str]:
        """Write what waits and the end of the file; return what it does not hold."""
        while self._waiting:
            self._end_entry()
        self._out.write(b'],"_wsrecMarks":[')
        self._marks.seek(0)
        shutil.copyfileobj(self._marks, self._out)
        self._out.write(b"]}}\n")
        notes = ["times have nine digits of a second; a reader that takes them as floating point keeps about 240 ns"]
        if self._not_utf8:
            notes.append(f"{self._not_utf8:,} text frames that are not UTF-8 were written as binary ones")
        return notes

    def _add_run(self, conn: int, rows: pa.RecordBatch) -> None:
        """Write events of one connection."""
        is_message = pc.equal(rows.column("kind").dictionary_decode(), str(Kind.MESSAGE))
        messages = rows if pc.all(is_message).as_py() else rows.filter(is_message)
        received_ns = rows.column("received_ns")
        connection = self._connections.get(conn)
        is_new = connection is None or (connection.is_written and len(messages) > 0)
        if connection is None or is_new:
            began_ns = received_ns[0].as_py()
            connection = self._connections[conn] = _Connection(self._numbers, self._feed, began_ns, began_ns)
            self._numbers += 1
        if messages is not rows:
            self._add_marks(connection, rows.filter(pc.invert(is_message)))
        if is_new:
            self._waiting.append(connection)
            if len(self._waiting) == 1:
                self._begin_entry()
        connection.ended_ns = max(connection.ended_ns, received_ns[-1].as_py())
        if not len(messages):
            return
        encoded = self._encoded(messages)
        if connection is self._waiting[0]:
            self._put(connection, encoded)
        else:
            connection.parts.append((self._spool.seek(0, io.SEEK_END), len(encoded)))
            self._spool.write(encoded)

    def _add_marks(self, connection: _Connection, rows: pa.RecordBatch) -> None:
        for row in rows.select(["seq", "kind", "received_ns", "detail"]).to_pylist():
            time = msgspec.Raw(seconds(row["received_ns"]))
            mark = {"kind": row["kind"], "conn": connection.number, "time": time, "detail": row["detail"] or "null"}
            self._batch_marks.append((row["seq"], _ENCODER.encode(mark)))
            if row["kind"] == Kind.CLOSE:
                connection.is_closed = True
            elif row["kind"] == Kind.OPEN and row["detail"]:
                detail = json.loads(row["detail"])
                connection.url = str(detail.get("url") or connection.url)
                connection.subprotocol = str(detail.get("subprotocol") or "")

    def _write_marks(self) -> None:
        """Write the marks of a batch in the order they were made, whichever connection each belongs to."""
        for _, mark in sorted(self._batch_marks):
            self._marks.write((b",\n" if self._marks.tell() else b"") + mark)
        self._batch_marks.clear()

    def _encoded(self, rows: pa.RecordBatch) -> bytes:
        """Return messages as JSON objects with commas between them."""
        types = map(_TYPES.__getitem__, rows.column("direction").dictionary_decode().to_pylist())
        times = map(msgspec.Raw, all_seconds(rows.column("received_ns")).to_pylist())
        texts = rows.column("text").to_pylist()
        binary = rows.column("binary")
        if binary.null_count == len(rows):
            return _ENCODER.encode(list(map(_Message, types, times, repeat(Opcode.TEXT.value), texts)))[1:-1]
        self._not_utf8 += pc.sum(pc.and_(pc.is_valid(binary), pc.is_valid(rows.column("detail")))).as_py()
        opcodes = [Opcode.TEXT.value if text is not None else Opcode.BINARY.value for text in texts]
        payloads = [text if text is not None else data for text, data in zip(texts, binary.to_pylist(), strict=True)]
        return _ENCODER.encode(list(map(_Message, types, times, opcodes, payloads)))[1:-1]

    def _put(self, connection: _Connection, encoded: bytes) -> None:
        self._out.write(connection.separator)
        self._out.write(encoded)
        connection.separator = b",\n"

    def _begin_entry(self) -> None:
        """Begin the entry of the first that waits, and write what was kept of it."""
        connection = self._waiting[0]
        url = connection.url if "://" in connection.url else "ws://unknown/"
        empty = {"httpVersion": "HTTP/1.1", "cookies": [], "headersSize": -1, "bodySize": -1}
        query = [{"name": name, "value": value} for name, value in parse_qsl(urlsplit(url).query)]
        entry = {
            "startedDateTime": iso_times(pa.array([connection.began_ns // 1_000], pa.timestamp("us")))[0].as_py(),
            "_resourceType": "websocket",
            "request": {"method": "GET", "url": url, "headers": _REQUEST_HEADERS, "queryString": query} | empty,
            "response": {
                "status": 101,
                "statusText": "Switching Protocols",
                "headers": _response_headers(connection.subprotocol),
                "content": {"size": 0, "mimeType": "x-unknown"},
                "redirectURL": "",
            }
            | empty,
            "cache": {},
        }
        self._out.write((b",\n" if connection.number else b"") + _ENCODER.encode(entry)[:-1])
        self._out.write(b',"_webSocketMessages":[')
        for offset, size_bytes in connection.parts:
            self._spool.seek(offset)
            self._put(connection, self._spool.read(size_bytes))
        connection.parts.clear()

    def _end_entry(self) -> None:
        connection = self._waiting.popleft()
        connection.is_written = True
        took_ms = (connection.ended_ns - connection.began_ns) / 1_000_000
        timings = {"send": 0, "wait": 0, "receive": took_ms}
        self._out.write(b"]," + _ENCODER.encode({"time": took_ms, "timings": timings})[1:])
        if self._waiting:
            self._begin_entry()


_REQUEST_HEADERS: Final = [{"name": "Connection", "value": "Upgrade"}, {"name": "Upgrade", "value": "websocket"}]


def _response_headers(subprotocol: str) -> list[dict[str, str]]:
    agreed = [{"name": "Sec-WebSocket-Protocol", "value": subprotocol}] if subprotocol else []
    return [*_REQUEST_HEADERS, *agreed]
