"""A reader that is ahead of the playhead.

Reading, filtering and framing run on a thread, two batches ahead, and release the GIL for the most
part; the event loop only slices what is ready.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from wsrecorder.jobs.play_batch import PlayBatch
from wsrecorder.jobs.programme import Programme

__all__ = ["ReadAhead"]

_AHEAD: Final = 2


class ReadAhead:
    """Reads a programme on a thread, a few batches ahead of whoever takes them.

    Args:
        programme: What is played.
        types: Only messages of these types; None is all.
        stop_ns: Where to end, not included; None is as far as the sessions go.
    """

    def __init__(self, programme: Programme, types: frozenset[str] | None, stop_ns: int | None) -> None:
        self._programme = programme
        self._types = types
        self._stop_ns = stop_ns
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="wsrec-reader")
        self._ahead: deque[Future[PlayBatch | None]] = deque()
        self._batches: Iterator[PlayBatch | None] = iter(())
        self._is_closed = False

    def begin(self, from_ns: int, skip: int = 0) -> None:
        """Read from a session time on, without the first frames; what was read before is forgotten."""
        for future in self._ahead:
            future.cancel()
        self._ahead.clear()
        self._batches = self._programme.batches(from_ns, self._stop_ns, self._types, skip)
        for _ in range(_AHEAD):
            self._read_one()

    async def take(self) -> PlayBatch | None:
        """Return the next batch, None at the end or once it is closed.

        Raises:
            SessionError: A session cannot be read any further.
        """
        batch = await self._take_one()
        if batch is None and self._programme.grows:
            # That was read ahead, and may be long out of date: ask again, past all that was read ahead.
            for _ in range(_AHEAD):
                if (batch := await self._take_one()) is not None:
                    break
        return batch

    async def _take_one(self) -> PlayBatch | None:
        if self._is_closed:
            return None
        batch = await asyncio.wrap_future(self._ahead.popleft())
        self._read_one()
        return batch

    def close(self) -> None:
        """End the thread, once it has read what it was asked for; nobody waits for that."""
        self._is_closed = True
        self._thread.shutdown(wait=False)

    def _read_one(self) -> None:
        if not self._is_closed:  # which may have come about while a batch was waited for
            self._ahead.append(self._thread.submit(next, self._batches, None))
