"""Both ends of a tap: servers that do as a test says, and a receiver that writes down what it is told."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from wsrecorder.core.event import Direction
from wsrecorder.net.tap import Tap
from wsrecorder.net.tap_options import TapOptions
from wsrecorder.net.tap_receiver import Opened
from wsrecorder.net.transport import Closed

IN, OUT = Direction.IN, Direction.OUT

Handler = Callable[[ServerConnection], Awaitable[None]]
RawHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


@dataclass
class Heard:
    """What a tap told, in order."""

    opened: list[Opened] = field(default_factory=list)
    messages: list[tuple[int, Direction, bytes, int]] = field(default_factory=list)
    dropped: list[tuple[int, Direction, int, str]] = field(default_factory=list)
    closed: dict[int, Closed] = field(default_factory=dict)
    stamps_ns: list[int] = field(default_factory=list)

    def on_open(self, opened: Opened, arrival_ns: int) -> int:
        self.stamps_ns.append(arrival_ns)
        self.opened.append(opened)
        return len(self.opened) - 1

    def on_message(self, conn: int, direction: Direction, payload: bytes, opcode: int, arrival_ns: int) -> None:
        self.stamps_ns.append(arrival_ns)
        self.messages.append((conn, direction, payload, opcode))

    def on_dropped(self, conn: int, direction: Direction, size_bytes: int, cause: str, arrival_ns: int) -> None:
        self.stamps_ns.append(arrival_ns)
        self.dropped.append((conn, direction, size_bytes, cause))

    def on_close(self, conn: int, closed: Closed, arrival_ns: int) -> None:
        self.stamps_ns.append(arrival_ns)
        self.closed[conn] = closed

    def payloads(self, direction: Direction, conn: int = 0) -> list[bytes]:
        return [payload for number, way, payload, _ in self.messages if (number, way) == (conn, direction)]


async def until(is_so: Callable[[], bool]) -> None:
    """Return when it is so; what a socket does tells nobody, it is looked at."""
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)


@asynccontextmanager
async def tapped(url: str, **options: Any) -> AsyncIterator[tuple[Tap, Heard]]:
    """Tap a server."""
    heard = Heard()
    async with Tap(TapOptions(url, port=0, **options), heard, time.monotonic_ns) as tap:
        yield tap, heard


@asynccontextmanager
async def serving(handler: Handler, **options: Any) -> AsyncIterator[str]:
    """Serve with websockets, which knows the protocol."""
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/"


@asynccontextmanager
async def serving_raw(handler: RawHandler) -> AsyncIterator[str]:
    """Serve bytes, which nobody checks."""
    ending: list[asyncio.Task[None]] = []

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        ending.append(task)
        try:
            await handler(reader, writer)
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            writer.close()

    server = await asyncio.start_server(attend, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/"
    finally:
        server.close()
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)


async def shake_hands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, more: bytes = b"") -> bytes:
    """Answer a handshake; return the request."""
    request = await reader.readuntil(b"\r\n\r\n")
    headers = dict(line.split(b": ", 1) for line in request.split(b"\r\n")[1:] if b": " in line)
    key = next(value for name, value in headers.items() if name.lower() == b"sec-websocket-key")
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + more
    )
    return request


async def dial(tap: Tap) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a bare connection to a tap."""
    return await asyncio.open_connection("127.0.0.1", tap.port)


async def dial_open(tap: Tap, path: str = "/ws/") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a bare connection through a tap, its handshake done."""
    reader, writer = await dial(tap)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer
