"""What tests of dialogues need: sessions of both directions, servers that talk, clients that say what they are told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.jobs.replays import SECOND_NS, STARTED_NS, session
from tests.jobs.test_tap import options as tap_options
from tests.jobs.test_tap import tapping
from tests.net.tapping import serving, until
from wsrecorder.clock import SystemClock
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.jobs.replay_options import ReplayOptions
from wsrecorder.jobs.two_way import TwoWayReplay
from wsrecorder.jobs.two_way_options import TwoWayOptions
from wsrecorder.store.session import ParquetStore, Store

MAX = float("inf")


def frame(way: str, at_s: float, word: str, *, conn: int = 0, binary: bytes | None = None) -> Event:
    """Return a message: ``<`` is what the server said, ``>`` is what the client said."""
    elapsed_ns = round(at_s * SECOND_NS)
    text = json.dumps({"type": word.split()[0], "say": word})
    return Event(
        0, Kind.MESSAGE, conn, Direction.IN if way == "<" else Direction.OUT, elapsed_ns, STARTED_NS + elapsed_ns,
        type=None if binary else word.split()[0], text=None if binary else text, binary=binary,
    )  # fmt: skip


def dialogue(library: Path, *said: tuple[str, float, str] | tuple[str, float, str, int], batch: int = 10_000) -> Store:
    """Return a session in which this was said, the fourth of each being the connection."""
    return session(
        library, [frame(way, at_s, word, conn=(*rest, 0)[0]) for way, at_s, word, *rest in said], batch=batch
    )


def saying(word: str) -> bytes:
    return json.dumps({"say": word, "type": word.split()[0]}).encode()  # as recorded, in another order of keys


def words(payloads: Sequence[str | bytes]) -> list[str]:
    return [json.loads(payload)["say"] for payload in payloads]


@asynccontextmanager
async def talking(store: Store, *, replay: dict[str, Any] | None = None, **asked: Any) -> AsyncIterator[TwoWayReplay]:
    """Serve a session as a dialogue."""
    options = ReplayOptions(**{"port": 0, "speed": MAX, **(replay or {})})
    async with TwoWayReplay(store, options, TwoWayOptions(**asked), SystemClock()) as running:
        yield running


class Talker:
    """A client that notes what it is told."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.heard: list[str | bytes] = []

    async def say(self, word: str) -> None:
        await self.connection.send(saying(word).decode())

    async def hears(self, count: int) -> list[str]:
        """Return what so many messages say."""
        found = [await asyncio.wait_for(self.connection.recv(), 30) for _ in range(count)]
        self.heard += found
        return words(found)

    async def rest(self) -> list[str | bytes]:
        """Return what comes until the connection ends."""
        found: list[str | bytes] = []
        try:
            while True:
                found.append(await asyncio.wait_for(self.connection.recv(), 30))
        except ConnectionClosed:
            return found


@asynccontextmanager
async def talker(url: str) -> AsyncIterator[Talker]:
    async with connect(url, max_size=None) as connection:
        yield Talker(connection)


async def subscribe_server(websocket: ServerConnection) -> None:
    """A server that greets, and answers each subscription by three messages, each ping by one."""
    await websocket.send('{"type": "welcome", "say": "welcome"}')
    async for message in websocket:
        asked = json.loads(message)
        if asked["type"] == "subscribe":
            for number in range(3):
                await websocket.send(json.dumps({"type": asked["channel"], "say": f"{asked['channel']} {number}"}))
        else:
            await websocket.send(message)


async def tapped(library: Path, *clients: Sequence[dict[str, Any]]) -> Store:
    """Return what a tap recorded of clients, one after the other, each saying this and hearing the answers."""
    async with serving(subscribe_server) as url, tapping(tap_options(url, library)) as (job, summaries):
        for client in clients:
            async with connect(job.state.url) as connection:
                await connection.recv()
                for message in client:
                    await connection.send(json.dumps(message))
                    for _ in range(3 if message["type"] == "subscribe" else 1):
                        await connection.recv()
            await until(lambda: not job.state.clients)
    path = summaries[0].outcome.path
    assert path is not None
    return ParquetStore(path)
