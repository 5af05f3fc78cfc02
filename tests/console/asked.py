"""Who asks a console: plain HTTP over a real socket, on a thread, for the loop has to answer meanwhile."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from wsrecorder.clock import Clock, SystemClock
from wsrecorder.console.options import ConsoleOptions
from wsrecorder.console.scene import Scene
from wsrecorder.console.server import Console
from wsrecorder.jobs.replay import Replay
from wsrecorder.store.session import Store

_THREADS = ThreadPoolExecutor(100)  # of its own: who answers needs the loop's


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Asker:
    """Sends requests as a browser, or as somebody who means ill."""

    def __init__(self, console: Console) -> None:
        self.console = console
        place = urlsplit(console.url)
        assert place.hostname is not None
        assert place.port is not None
        self.host, self.port = place.hostname, place.port

    async def get(self, path: str, headers: Mapping[str, str] | None = None, **query: Any) -> Reply:
        return await self.ask("GET", f"{path}?{urlencode(query)}" if query else path, headers=headers)

    async def post(self, path: str, content: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        body = json.dumps({} if content is None else content).encode()
        return await self.ask("POST", path, body, {"Content-Type": "application/json", **(headers or {})})

    async def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        asking = self._ask, method, path, body, dict(headers or {})
        return await asyncio.get_running_loop().run_in_executor(_THREADS, *asking)

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()


class Follower:
    """Listens to the stream of states.

    Attributes:
        states: Those that have come.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.states: list[dict[str, Any]] = []
        self._reader = reader
        self._writer = writer

    async def next(self) -> dict[str, Any]:
        """Return the next state."""
        async with asyncio.timeout(30):
            while not (line := await self._reader.readline()).startswith(b"data: "):
                if not line:
                    raise EOFError("the stream has ended")
        self.states.append(json.loads(line.removeprefix(b"data: ")))
        return self.states[-1]

    async def ended(self) -> bool:
        """Return once nothing more can come, and whether that was said: a stream that is cut has no last chunk."""
        async with asyncio.timeout(30):
            return (await self._reader.read()).endswith(b"0\r\n\r\n")

    def leave(self) -> None:
        self._writer.close()


@asynccontextmanager
async def following(asker: Asker) -> AsyncIterator[Follower]:
    reader, writer = await asyncio.open_connection(asker.host, asker.port)
    writer.write(f"GET /api/stream HTTP/1.1\r\nHost: {asker.host}:{asker.port}\r\n\r\n".encode())
    try:
        yield Follower(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def console_of(
    stores: Sequence[Store],
    *,
    replay: Replay | None = None,
    library: Path | None = None,
    clock: Clock | None = None,
    **options: Any,
) -> AsyncIterator[Asker]:
    """Serve a console on a free port."""
    scene = Scene(stores, replay=replay, library=library, clock=clock or SystemClock())
    async with Console(scene, ConsoleOptions(**{"port": 0, **options})) as console:
        yield Asker(console)
