"""A tap on a thread of its own: clients talk to a real server through it, and it records them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wsrecorder.clock import SystemClock
from wsrecorder.core.dialect import Dialect
from wsrecorder.jobs.record_options import RecordOptions
from wsrecorder.jobs.tap import TapJob
from wsrecorder.jobs.tap_options import TapJobOptions, TapOptions, TapSummary
from wsrecorder.net.transport import FeedOptions
from wsrecorder.store.place import local
from wsrecorder.testing.loop_thread import LoopThread

__all__ = ["TapServer"]


class TapServer:
    """A tap, from the moment it is made to `close`.

    Attributes:
        url: Where clients connect instead of to the server.

    Args:
        upstream: URL of the server.
        folder: Where the session is to be.
        dialect: Of the feed.
        headers: Headers that are sent to the server instead of the client's.

    Raises:
        UsageError: The URL is none.
        EndpointError: No port can be had.
    """

    def __init__(self, upstream: str, folder: Path, dialect: Dialect, headers: Mapping[str, str]) -> None:
        options = TapJobOptions(
            tap=TapOptions(upstream, port=0, headers=headers),
            record=RecordOptions(
                feed=FeedOptions(upstream), library=folder, name="cassette", sync=False, dialect=dialect
            ),
        )
        self._stop: asyncio.Event
        self._task: asyncio.Task[TapSummary]
        self._thread = LoopThread("wsrec-tap")
        try:
            self.url = self._thread.run(self._begin(options))
        except BaseException:
            self._thread.close()
            raise

    async def _begin(self, options: TapJobOptions) -> str:
        loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        url: asyncio.Future[str] = loop.create_future()
        job = TapJob(options, SystemClock())
        self._task = loop.create_task(job.run(self._stop, lambda job: url.set_result(job.state.url)))
        waits: list[asyncio.Future[Any]] = [self._task, url]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        return url.result() if url.done() else self._task.result().state.url

    async def _end(self) -> TapSummary:
        self._stop.set()
        return await self._task

    def close(self) -> Path | None:
        """End the tap and the thread.

        Returns:
            Where the session is; None if no client came.

        Raises:
            StorageError: The session could not be written.
        """
        try:
            outcome = self._thread.run(self._end()).outcome
        finally:
            self._thread.close()
        if outcome.error is not None:
            raise outcome.error
        return (
            local(outcome.path, "a cassette")
            if outcome.path is not None and outcome.manifest is not None and outcome.manifest.messages
            else None
        )
