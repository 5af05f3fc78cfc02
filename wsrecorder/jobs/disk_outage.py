"""A disk that takes nothing for a while: say so once, ask it every second, and mark what is missing in the end.

What came before stays in the writer's queue and is written when the disk takes again. When the queue is full, frames
are counted and let go: memory stays bounded, the connection is kept, and the gap says exactly how many are missing.
To hold the socket back instead would leave that to the server, which keeps, drops or disconnects as it likes.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from wsrecorder.clock import Clock
from wsrecorder.core.recorder import Recorder
from wsrecorder.errors import StorageError
from wsrecorder.store import disk
from wsrecorder.store.recording import Recording

__all__ = ["DiskOutage"]

_EVERY_NS: Final = 1_000_000_000


class DiskOutage:
    """Watches whether the disk takes what is recorded, on the event loop.

    Args:
        recorder: What is recorded; told what goes missing.
        recording: Writes it.
        clock: Where the time comes from.
        feed: What is recorded, for the log.
        log: Where it is told.
    """

    def __init__(self, recorder: Recorder, recording: Recording, clock: Clock, feed: str, log: logging.Logger) -> None:
        self._recorder = recorder
        self._recording = recording
        self._clock = clock
        self._feed = feed
        self._log = log
        self._refusal: StorageError | None = None
        self._unsealed: StorageError | None = None
        self._since_ns = 0
        self._asking: asyncio.Task[None] | None = None
        self._is_over = False

    def look(self) -> None:
        """Look how the disk stands; to be called whenever the writer has something to tell."""
        if self._is_over:
            return
        refusal = self._recording.refusal
        if refusal is not None and self._refusal is None:
            self._begin(refusal)
        elif refusal is None and self._refusal is not None:
            lost, lasted_s = self._end()
            self._warn(f"the disk takes events again, after {lasted_s:.1f} s; {lost:,} frames that came are missing")
        unsealed = self._recording.unsealed
        if (unsealed is None) is not (self._unsealed is None):
            self._warn(
                "segments are sealed again"
                if unsealed is None
                else f"{unsealed.message}; the journals keep what comes, and are sealed when it can be: {unsealed.hint}"
            )
        self._unsealed = unsealed

    def let_go(self) -> bool:
        """Let frames go from now on if it is for the disk that nobody has room for them; return whether it is."""
        if self._recording.refusal is None or self._is_over:
            return self._is_over  # nobody reads any more
        if not self._recorder.is_shut:
            self._warn("the memory for what waits is full: frames are counted and let go until the disk takes again")
            self._recorder.shut(self._clock.now_ns())
        return True

    def finish(self) -> None:
        """The recording ends: record the gap of an outage that it does not outlive, and ask no more."""
        self._is_over = True
        if self._refusal is not None:
            lost, lasted_s = self._end()
            self._warn(f"the disk has taken nothing for {lasted_s:.1f} s; {lost:,} frames that came are missing")

    def _end(self) -> tuple[int, float]:
        """Record the gap; return how many frames are missing, and how long the disk took nothing, seconds."""
        assert self._refusal is not None
        assert self._asking is not None
        self._asking.cancel()
        refusal, self._refusal = self._refusal, None
        now_ns = self._clock.now_ns()
        lost = self._recorder.outlasted(now_ns, self._since_ns, disk.cause_of(refusal))
        return lost, (now_ns - self._since_ns) / 1e9

    def _begin(self, refusal: StorageError) -> None:
        self._refusal = refusal
        self._since_ns = self._clock.now_ns()
        self._asking = asyncio.get_running_loop().create_task(self._ask())
        self._warn(f"{refusal.message}; recording goes on as soon as the disk takes events again: {refusal.hint}")

    async def _ask(self) -> None:
        while True:
            await self._clock.sleep_until(self._clock.now_ns() + _EVERY_NS)
            self._recording.try_again()

    def _warn(self, text: str) -> None:
        self._log.warning("%s: %s", self._feed, text, extra={"feed": self._feed})
