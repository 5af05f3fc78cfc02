"""A connection to a stream for callers that block: it lives on a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from wsrecorder.core.stream_address import StreamAddress
from wsrecorder.net.jetstream import EventLog

__all__ = ["LogThread"]

_Found = TypeVar("_Found")


class LogThread:
    """A connection that is open until `close`.

    Attributes:
        log: The connection; used by what `run` is given, and by nobody else.

    Args:
        address: The stream.

    Raises:
        LogAway: The server does not answer.
        FeedError: It refuses us.
    """

    def __init__(self, address: StreamAddress) -> None:
        self._is_ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Event
        self._thread = threading.Thread(target=lambda: asyncio.run(self._stay()), name="wsrec-stream", daemon=True)
        self._thread.start()
        self._is_ready.wait()
        self.log = EventLog(address)
        try:
            self.run(self.log.connect())
        except BaseException:
            self.close()
            raise

    async def _stay(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        self._is_ready.set()
        await self._end.wait()

    def run(self, work: Coroutine[Any, Any, _Found]) -> _Found:
        """Do some work on the thread, and return what comes of it; blocks."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def begin(self, work: Coroutine[Any, Any, object]) -> None:
        """Do some work on the thread; nobody waits for it, and what goes wrong is nobody's trouble."""
        asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """Let go; does nothing the second time."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self.log.close(), self._loop).result()
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()
