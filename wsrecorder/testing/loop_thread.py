"""A thread with an event loop of its own.

What runs there goes on while a test blocks, and whatever loop the test itself runs on, if any.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from wsrecorder.errors import UsageError

__all__ = ["LoopThread"]

_Found = TypeVar("_Found")


class LoopThread:
    """A running event loop, on a thread that ends with `close`.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._is_ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Event
        # A daemon: a test run that is torn down by force must not hang on it.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self._is_ready.wait()

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._stay())

    async def _stay(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        self._is_ready.set()
        await self._end.wait()

    @property
    def is_open(self) -> bool:
        """Whether it still runs."""
        return self._thread.is_alive()

    def call(self, function: Callable[[], _Found]) -> _Found:
        """Call a function on the thread, and return what it returns; after `close` on this one."""
        if threading.current_thread() is self._thread or not self._thread.is_alive():
            return function()

        async def calling() -> _Found:
            return function()

        return self.run(calling())

    def run(self, work: Coroutine[Any, Any, _Found]) -> _Found:
        """Do some work on the thread, and return what comes of it; blocks."""
        assert threading.current_thread() is not self._thread, "the thread would wait for itself"
        future = self._begin(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # who gave up waiting, by Ctrl-C or a time limit, does not want it any more
            raise

    async def run_async(self, work: Coroutine[Any, Any, _Found]) -> _Found:
        """Do some work on the thread, and return what comes of it, without blocking the loop that awaits it."""
        return await asyncio.wrap_future(self._begin(work))

    def _begin(self, work: Coroutine[Any, Any, _Found]) -> Future[_Found]:
        if not self.is_open:
            work.close()
            raise UsageError("the server is closed", hint="use it within its test, or within its context")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """End the loop and the thread; does nothing the second time."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()
