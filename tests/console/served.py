"""A real replay with a real console, in a thread of its own: the browser's driver keeps the test's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from wsrecorder.clock import SystemClock
from wsrecorder.console.options import ConsoleOptions
from wsrecorder.console.scene import Scene
from wsrecorder.console.server import Console
from wsrecorder.core.event import Event
from wsrecorder.jobs.playback import Playback
from wsrecorder.jobs.replay import Replay
from wsrecorder.jobs.replay_options import ReplayOptions
from wsrecorder.net.access import Access
from wsrecorder.store.library import open_store

_T = TypeVar("_T")


class Client:
    """Somebody who listens to the replay, and keeps nothing."""

    def __init__(self, served: Served, connection: ClientConnection, listening: Future[int]) -> None:
        self.connection = connection
        self._listening = listening
        self._served = served

    def close_code(self) -> int:
        """Wait until the connection is closed and return the code."""
        return self._listening.result(timeout=30)


class Served:
    """A session that is replayed, or only looked at, with its console.

    Attributes:
        known: The events of the session.
    """

    def __init__(
        self, session: Path, known: Sequence[Event], *, is_played: bool = True, access: Access | None = None
    ) -> None:
        self.known = known
        self.events = len(known)
        self._session = session
        self._is_played = is_played
        self._access = access or Access()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._replay: Replay | None = None
        self._console: Console | None = None
        self._port = 0

    def __enter__(self) -> Served:
        self._thread.start()
        self._run(self._begin)
        self.start_console()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_console()
        if self._replay is not None:
            self._run(lambda: self.replay.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=30)
        self._loop.close()

    async def _begin(self) -> None:
        self._store = open_store(self._session)
        if not self._is_played:
            return
        replay = Replay([self._store], ReplayOptions(port=0, wait_for=0), SystemClock())
        await replay.__aenter__()
        replay.playback(None).pause()
        self._replay = replay

    def start_console(self) -> None:
        """Serve the console, on the same port as before."""
        self._run(self._start_console)

    async def _start_console(self) -> None:
        scene = Scene([self._store], replay=self._replay, library=self._session.parent, clock=SystemClock())
        self._console = Console(scene, ConsoleOptions(port=self._port, access=self._access), is_awaited=True)
        await self._console.__aenter__()
        self.url = self._console.entry_url
        self._port = urlsplit(self.url).port or 0

    def stop_console(self) -> None:
        """Let the console go, as when its program ended."""
        if self._console is not None:
            console, self._console = self._console, None
            self._run(lambda: console.__aexit__(None, None, None))

    @property
    def replay(self) -> Replay:
        """The replay."""
        assert self._replay is not None
        return self._replay

    @property
    def playback(self) -> Any:
        """How the shared playback stands now."""

        async def state() -> Any:
            playback: Playback = self.replay.playback(None)
            return playback.state

        return self._run(state)

    @property
    def length_ns(self) -> int:
        """How long the session is."""
        return self.known[-1].elapsed_ns

    def matching(self, *, text: str | None = None, **fields: object) -> list[Event]:
        """Return the events with such fields and such a text."""
        return [
            event
            for event in self.known
            if all(getattr(event, name) == value for name, value in fields.items())
            and (text is None or text in (event.text or ""))
        ]

    def count(self, *, text: str | None = None, **fields: object) -> int:
        """Count the events with such fields and such a text."""
        return len(self.matching(text=text, **fields))

    def first(self, **fields: object) -> Event:
        """Return the first event with such fields."""
        return self.matching(text=None, **fields)[0]

    def connect(self) -> Client:
        """Return a client that has connected to the endpoint."""

        async def listen(connection: ClientConnection) -> int:
            try:
                async for _ in connection:
                    pass
            except ConnectionClosed:
                pass
            return connection.close_code or 0

        connection = self._run(lambda: connect(self.replay.url))
        return Client(self, connection, asyncio.run_coroutine_threadsafe(listen(connection), self._loop))

    def _run(self, work: Callable[[], Awaitable[_T]]) -> _T:
        async def run() -> _T:
            return await work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(timeout=20)
