"""Reaching a feed, however long it takes: with waits between the tries, which double while it fails."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final

from wsrecorder.clock import Clock
from wsrecorder.errors import FeedError
from wsrecorder.jobs.mishaps import Mishaps
from wsrecorder.jobs.record_options import RecordOptions
from wsrecorder.net.transport import Link

__all__ = ["Reaching"]

_LOG: Final = logging.getLogger("wsrecorder.record")


class Reaching:
    """Connects to the feed of a recording.

    Attributes:
        refusal: Why the feed could not be reached yet, while it was never; else None.

    Args:
        options: What is recorded.
        connect: Tries once; raises `FeedError` where the feed does not let it.
        clock: Where the time comes from.
        stop: Set when the recording is to end.
        mishaps: Takes the errors of our own making.
        on_status: Told ``waiting`` and ``connecting``.
    """

    def __init__(
        self, options: RecordOptions, connect: Callable[[], Awaitable[Link]], clock: Clock, stop: asyncio.Event,
        mishaps: Mishaps, on_status: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.refusal: FeedError | None = None
        self._retry = options.retry
        self._duration_ns = options.limits.duration_ns
        self._feed = options.feed.shown_url
        self._connect = connect
        self._clock = clock
        self._stop = stop
        self._mishaps = mishaps
        self._on_status = on_status

    async def first(self, *, is_patient: bool) -> Link:
        """Connect for the first time.

        Args:
            is_patient: Whether a feed that cannot be reached is tried again, until the recording is to end.

        Raises:
            FeedError: It could not be reached.
        """
        until_ns = None if self._duration_ns is None else self._clock.now_ns() + self._duration_ns
        try:
            return await self._connect()
        except FeedError as exc:
            if not (is_patient and self._retry.is_wanted):
                raise
            _LOG.warning("%s; it is tried again: %s", exc.message, exc.hint, extra={"feed": self._feed})
            self.refusal = exc
        link = await self.again(until_ns)
        if link is None:
            raise self.refusal
        self.refusal = None
        return link

    async def again(self, until_ns: int | None = None) -> Link | None:
        """Connect after a loss; return None when the recording is to end instead.

        Args:
            until_ns: When it is given up, by the clock; None is never.
        """
        chance = random.Random()
        failures = 0
        while not self._stop.is_set():
            self._on_status("waiting")
            wait_s = self._retry.wait_s(failures, chance)
            _LOG.info("%s: reconnecting in %.1f s", self._feed, wait_s, extra={"feed": self._feed})
            due_ns = self._clock.now_ns() + round(wait_s * 1e9)
            is_over = until_ns is not None and due_ns >= until_ns
            await self._clock.sleep_until(until_ns if until_ns is not None and is_over else due_ns, wake=self._stop)
            if is_over or self._stop.is_set():
                break
            self._on_status("connecting")
            try:
                link = await self._connect()
            except FeedError as exc:
                failures += 1
                _LOG.warning("%s", exc.message, extra={"feed": self._feed})
                if self.refusal is not None:  # it was never there yet
                    self.refusal = exc
            except Exception as exc:
                failures += 1
                self._mishaps.note("feed", exc, f"{self._feed} is tried again")
            else:
                what = "connected" if self.refusal is not None else "connected again"
                _LOG.info("%s: %s", self._feed, what, extra={"feed": self._feed})
                return link
        return None
