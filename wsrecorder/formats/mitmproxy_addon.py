"""Reads and writes flow files with mitmproxy's own code: an addon that the user's ``mitmdump`` runs.

It stands alone: it runs in the Python of mitmproxy, which knows nothing of wsrec. ``WSREC_TASK`` says what to do.

- ``read``: flows come in on stdin, a HAR with their WebSocket messages goes out on stdout.
- ``write``: lines of JSON come in on stdin, flows go out on stdout: ``["open", conn, time, url, subprotocol]``,
  ``["message", conn, time, from client?, opcode, text, base64]`` and ``["close", conn, time, code, reason]``.

The last line on stderr is JSON that begins with ``{"wsrec"``: what was found, or what went wrong.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from importlib import import_module
from typing import Any, BinaryIO

__all__ = ["addons"]

_TEXT = 1


class _Counted:
    """A stream that knows how much of it was read."""

    def __init__(self, file: Any) -> None:
        self.read_bytes = 0
        self._file = file

    def read(self, size_bytes: int = -1) -> Any:
        found = self._file.read(size_bytes)
        self.read_bytes += len(found)
        return found

    def readline(self) -> Any:
        found = self._file.readline()
        self.read_bytes += len(found)
        return found

    def peek(self, size_bytes: int) -> Any:
        return self._file.peek(size_bytes)


class _Task:
    """Does the work as soon as the program runs, and ends the program."""

    def running(self) -> None:
        found: dict[str, Any] = {"wsrec": 1}
        source = _Counted(sys.stdin.buffer)
        try:
            work = _read if os.environ["WSREC_TASK"] == "read" else _write
            work(source, sys.stdout.buffer, found)
            sys.stdout.buffer.flush()
        except Exception as exc:
            found |= {"error": str(exc) or type(exc).__name__, "byte": source.read_bytes}
        sys.stderr.write("\n" + json.dumps(found) + "\n")
        sys.stderr.flush()
        import_module("mitmproxy.ctx").master.shutdown()


def _read(source: _Counted, out: BinaryIO, found: dict[str, Any]) -> None:
    """Write a HAR of the flows that hold WebSocket messages."""
    found |= {"flows": 0, "others": 0, "dropped": 0, "not_utf8": 0}
    marks: list[tuple[float, int, str, dict[str, Any]]] = []
    out.write(b'{"log":{"version":"1.2","creator":{"name":"mitmproxy","version":""},"entries":[')
    for flow in import_module("mitmproxy.io").FlowReader(source).stream():
        if getattr(flow, "websocket", None) is None:
            found["others"] += 1
            continue
        conn = found["flows"]
        found["flows"] += 1
        url = flow.request.pretty_url.replace("http", "ws", 1)
        entry = json.dumps({"_resourceType": "websocket", "request": {"url": url}})
        out.write(((",\n" if conn else "") + entry[:-1] + ',"_webSocketMessages":[').encode())
        separator = b""
        for message in flow.websocket.messages:
            if message.dropped:
                found["dropped"] += 1
                continue
            out.write(separator + _har_message(message, found))
            separator = b",\n"
        out.write(b"]}")
        marks += _marks(flow, conn, url)
    marks.sort(key=lambda mark: mark[0])
    listed = [
        {"kind": kind, "conn": conn, "time": time, "detail": json.dumps(said)} for time, conn, kind, said in marks
    ]
    out.write(('],"_wsrecMarks":' + json.dumps(listed) + "}}\n").encode())


def _har_message(message: Any, found: dict[str, Any]) -> bytes:
    opcode = int(message.type)
    data = ""
    if opcode == _TEXT:
        try:
            data = message.content.decode()
        except UnicodeDecodeError:
            found["not_utf8"] += 1
            opcode = 2
    if opcode != _TEXT:
        data = base64.b64encode(message.content).decode()
    said = {
        "type": "send" if message.from_client else "receive",
        "time": message.timestamp,
        "opcode": opcode,
        "data": data,
    }
    return json.dumps(said, ensure_ascii=False).encode()


def _marks(flow: Any, conn: int, url: str) -> list[tuple[float, int, str, dict[str, Any]]]:
    """Return when a connection was opened, and when and why it was closed."""
    answered = flow.response.timestamp_end if flow.response is not None else None
    times = [message.timestamp for message in flow.websocket.messages]
    began = min([answered or flow.request.timestamp_start, *times[:1]])
    detail = {"url": url}
    if flow.response is not None and (agreed := flow.response.headers.get("sec-websocket-protocol")):
        detail["subprotocol"] = agreed
    marks: list[tuple[float, int, str, dict[str, Any]]] = [(began, conn, "open", detail)]
    socket = flow.websocket
    if socket.timestamp_end is not None:
        closed = {"code": socket.close_code or 1006, "reason": socket.close_reason or ""}
        closed["cause"] = "closed by the client" if socket.closed_by_client else "closed by the server"
        marks.append((max([socket.timestamp_end, *times[-1:]]), conn, "close", closed))
    return marks


def _write(source: _Counted, out: BinaryIO, found: dict[str, Any]) -> None:
    """Write a flow a connection; one is kept in memory until it is closed, for a flow is one piece of the file."""
    found["flows"] = 0
    writer = import_module("mitmproxy.io").FlowWriter(out)
    make = import_module("mitmproxy.websocket").WebSocketMessage
    flows: dict[int, Any] = {}
    for line in iter(source.readline, b""):
        kind, conn, time, *rest = json.loads(line)
        if conn not in flows:
            flows[conn] = _new_flow(time, *(rest if kind == "open" else (os.environ.get("WSREC_FEED", ""), "")))
        flow = flows[conn]
        if kind == "message":
            from_client, opcode, text, data = rest
            content = text.encode() if text is not None else base64.b64decode(data)
            flow.websocket.messages.append(make(opcode, from_client, content, time))
        elif kind == "close":
            flow.websocket.timestamp_end = time
            flow.websocket.close_code, flow.websocket.close_reason = rest[:2]
            flow.websocket.closed_by_client = rest[2]
            writer.add(flows.pop(conn))
            found["flows"] += 1
    for flow in flows.values():
        writer.add(flow)
        found["flows"] += 1


def _new_flow(time: float, url: str, subprotocol: str) -> Any:
    """Return the flow of a connection, with the request and the answer that opened it."""
    http, connection = import_module("mitmproxy.http"), import_module("mitmproxy.connection")
    headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
    agreed = {"Sec-WebSocket-Protocol": subprotocol} if subprotocol else {}
    target = url if url.startswith(("ws://", "wss://")) else "ws://unknown/"
    request = http.Request.make("GET", target.replace("ws", "http", 1), b"", headers)
    response = http.Response.make(101, b"", headers | agreed)
    for part in (request, response):
        part.timestamp_start = part.timestamp_end = time
    client = connection.Client(peername=("127.0.0.1", 0), sockname=("127.0.0.1", 0), timestamp_start=time)
    flow = http.HTTPFlow(client, connection.Server(address=(request.host, request.port)))
    flow.request, flow.response = request, response
    flow.websocket = import_module("mitmproxy.websocket").WebSocketData()
    return flow


addons = [_Task()]
