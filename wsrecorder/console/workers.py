"""Threads for what takes longer than the event loop may be held up: it plays a replay beside us."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from wsrecorder.errors import WsrecError

__all__ = ["Busy", "Workers"]

_T = TypeVar("_T")

_MOST_ASKED: Final = 32


class Busy(WsrecError):
    """More is asked than can be answered."""


class Workers:
    """A few threads; what cannot be done at once waits its turn, up to a limit.

    Args:
        threads: How many.
    """

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="wsrec-console")
        self._asked = 0

    async def do(self, work: Callable[[], _T]) -> _T:
        """Return what ``work`` returns, called on one of the threads.

        Raises:
            Busy: Too much is being asked already.
        """
        if self._asked >= _MOST_ASKED:
            raise Busy(
                f"{self._asked} questions are being answered already", hint="ask again when some of them are answered"
            )
        self._asked += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._asked -= 1

    def close(self) -> None:
        """Begin nothing more; nobody waits for what is being done."""
        self._threads.shutdown(wait=False, cancel_futures=True)
