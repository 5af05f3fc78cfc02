"""Bring the sessions of a stream into a library, each event exactly once, feed by feed beside each other.

A feed is read by one at a time (`wsrecorder.jobs.archive_turn`): several processes share the feeds, and take over from
one that has ended. What the group's consumer has acknowledged is committed; what it was given beyond that is asked for
again, and left out where the last segment knows it.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from wsrecorder.clock import Clock
from wsrecorder.core.log_message import SESSION_TOKEN, token
from wsrecorder.core.stream_address import StreamAddress
from wsrecorder.errors import Overtaken, SessionError
from wsrecorder.jobs.archive_feed import Archived, FeedArchive, Rotation
from wsrecorder.jobs.archive_turn import LeasedTurn, LockedTurn, Turn
from wsrecorder.net.jetstream import EventLog, LogAway, connect_log
from wsrecorder.store import disk
from wsrecorder.store.lock import SessionLock
from wsrecorder.store.place import ObjectPath, Place

__all__ = ["ArchiveOptions", "archive"]

_LOG: Final = logging.getLogger("wsrecorder.archive")

_LOOK_NS: Final = 2_000_000_000
_FOLDER: Final = ".archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveOptions:
    """What to archive and how.

    Attributes:
        address: The stream.
        library: Folder of sessions, or its place in object storage.
        feeds: Names of the feeds; None is all.
        follows: Whether to go on with what comes; else all that is there is brought.
        rotation: When a segment is made.
        group: Name of the group of consumers; None is one of the library's own.
    """

    address: StreamAddress
    library: Place
    feeds: frozenset[str] | None = None
    follows: bool = False
    rotation: Rotation = field(default_factory=Rotation)
    group: str | None = None

    def consumer(self, feed: str) -> str:
        """Return the name of the durable consumer of a feed, or what the names of several begin with."""
        group = self.group or f"archive-{zlib.crc32(str(self.library.resolve()).encode()):08x}"
        return f"wsrec-{group}-{token(feed).replace('%', '=')}"


async def archive(
    options: ArchiveOptions,
    clock: Clock,
    stop: asyncio.Event,
    on_progress: Callable[[Archived], None] = lambda archived: None,
) -> Archived:
    """Archive until all that is there is committed, or ``stop`` is set.

    Args:
        options: What and how.
        clock: Where the time comes from.
        stop: Set it to commit what is held and return.
        on_progress: Told what was committed so far, now and then.

    Raises:
        LogAway: The stream does not answer, at the beginning; later it is waited for.
        FeedError: The server refuses.
        SessionError: A session cannot be written.
        StorageError: The disk or the store refuses; or the store is away when ``stop`` is set.
    """
    total, holder = Archived(), uuid.uuid4().hex
    if not isinstance(options.library, ObjectPath):
        disk.make_directory(options.library)
    has_begun = False
    while True:
        try:
            async with connect_log(options.address) as log:
                await log.span()  # says so where there is no such stream
                has_begun = True
                await _Feeds(options, log, holder, clock, stop, total, on_progress).run()
                return total
        except LogAway as exc:
            if not has_begun or stop.is_set():
                raise
            _LOG.warning("%s; it is asked again", exc.message)
            await clock.sleep_until(clock.now_ns() + _LOOK_NS, stop)


class _Feeds:
    """The feeds of a stream that this process archives."""

    def __init__(
        self, options: ArchiveOptions, log: EventLog, holder: str, clock: Clock, stop: asyncio.Event,
        total: Archived, on_progress: Callable[[Archived], None],
    ) -> None:  # fmt: skip
        self._options = options
        self._log = log
        self._holder = holder
        self._clock = clock
        self._stop = stop
        self._total = total
        self._on_progress = on_progress
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Archive what nobody else does; while it follows, look for feeds that are new, or free again."""
        try:
            while True:
                for feed in await self._there():
                    if feed not in self._tasks:
                        self._tasks[feed] = asyncio.create_task(self._archive(feed))
                if not self._options.follows:
                    await asyncio.gather(*self._tasks.values())
                    return
                waiter = asyncio.create_task(self._clock.sleep_until(self._clock.now_ns() + _LOOK_NS, self._stop))
                await asyncio.wait([waiter, *self._tasks.values()], return_when=asyncio.FIRST_COMPLETED)
                await waiter
                for feed in [feed for feed, task in self._tasks.items() if task.done()]:
                    self._tasks.pop(feed).result()  # another one archives it; it is looked after again
                self._on_progress(self._total)
                if self._stop.is_set():
                    await asyncio.gather(*self._tasks.values())
                    return
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _there(self) -> Iterable[str]:
        subjects = await self._log.subjects(f"wsrec.*.{SESSION_TOKEN}")
        found = {unquote(subject.split(".")[1]) for subject in subjects}
        return sorted(found if self._options.feeds is None else found & self._options.feeds)

    async def _archive(self, feed: str) -> None:
        """Archive a feed, if nobody else does."""
        options = self._options
        while (turn := await self._turn(feed)) is not None:
            try:
                archiving = FeedArchive(
                    self._log, feed, options.library, turn, options.rotation, self._clock, self._total
                )
                if await archiving.run(self._stop, follows=options.follows):
                    return
            except Overtaken as exc:
                _LOG.warning("%s: feed %s is gone on with behind that", exc.message, feed)
            finally:
                await turn.close()

    async def _turn(self, feed: str) -> Turn | None:
        options = self._options
        if isinstance(options.library, ObjectPath):
            leased = LeasedTurn(self._log, options.consumer(feed), self._holder, self._clock)
            return leased if await leased.take(self._stop) else None
        folder = options.library / _FOLDER / options.address.stream / token(feed)
        disk.make_directory(folder)
        try:
            return LockedTurn(options.consumer(feed), SessionLock(folder))
        except SessionError:
            _LOG.debug("another process archives %s", feed)
            return None
