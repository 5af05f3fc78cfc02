"""Archiving one feed of a stream: read in order, hold, commit, and only then acknowledge."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar, TypeVarTuple

from wsrecorder.clock import Clock
from wsrecorder.core.log_batches import LogBatches
from wsrecorder.core.log_message import END_TOKEN, SESSION_TOKEN, feed_subjects, session_of, subject_of
from wsrecorder.core.patience import patience_s
from wsrecorder.errors import SessionError, StoreAway
from wsrecorder.jobs.archive_turn import Turn
from wsrecorder.jobs.stream_sessions import stream_sessions
from wsrecorder.net.jetstream import EventLog, Stored
from wsrecorder.net.log_reader import LogReader
from wsrecorder.store.archive import ArchivedSession
from wsrecorder.store.manifest import Identity, Manifest
from wsrecorder.store.place import Place
from wsrecorder.store.schema import from_rows

__all__ = ["Archived", "FeedArchive", "Rotation"]

_LOG: Final = logging.getLogger("wsrecorder.archive")

_SAID_EVERY: Final = 10

_Found = TypeVar("_Found")
_Arguments = TypeVarTuple("_Arguments")


@dataclass(frozen=True, slots=True)
class Rotation:
    """When what is held becomes a segment.

    Attributes:
        size_bytes: As soon as so much is held, bytes.
        age_ns: As soon as the oldest was held for so long, ns.
    """

    size_bytes: int = 64 << 20
    age_ns: int = 60_000_000_000


@dataclass(slots=True)
class Archived:
    """What was committed.

    Attributes:
        events: How many events.
        segments: How many segments.
        sessions: Ids of the sessions that got some.
        sealed: Ids of those that have ended.
    """

    events: int = 0
    segments: int = 0
    sessions: set[str] = field(default_factory=set)
    sealed: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Open:
    """A session that is being archived."""

    session: ArchivedSession
    batches: LogBatches
    ending: Manifest | None = None


class FeedArchive:
    """Archives one feed.

    Args:
        log: The connection.
        feed: Name of the feed.
        library: Where the sessions are written.
        turn: The right to archive it.
        rotation: When a segment is made.
        clock: Where the time comes from.
        total: Told what was committed.
    """

    def __init__(
        self, log: EventLog, feed: str, library: Place, turn: Turn, rotation: Rotation, clock: Clock, total: Archived
    ) -> None:
        self._log = log
        self._feed = feed
        self._library = library
        self._rotation = rotation
        self._clock = clock
        self._total = total
        self._turn = turn
        self._reader = LogReader(log, feed_subjects(feed), turn.from_position, group=turn.consumer)
        self._stop = asyncio.Event()
        self._known: dict[str, Identity] = {}
        self._open: dict[str, _Open] = {}
        self._position = 0
        self._began_ns: int | None = None

    async def run(self, stop: asyncio.Event, *, follows: bool) -> bool:
        """Archive until ``stop`` is set, or all that is there is committed.

        Returns:
            Whether it was; not if another one archives the feed now.

        Raises:
            LogAway: The stream does not answer; what was committed is acknowledged the next time.
            SessionError: A session cannot be written.
            StorageError: The disk or the store refuses. A store that is away is waited for, until ``stop`` is set.
            Overtaken: Another one has gone on with a session; what is held is forgotten.
        """
        self._stop = stop
        try:
            await self._reader.begin()
            await self._turn.began()
            while not stop.is_set():
                if not await self._turn.is_ours():
                    _LOG.warning("another process archives %s now", self._feed)
                    return False
                for message in await self._reader.fetch(0.5):
                    await self._take(message)
                is_all = not follows and self._reader.pending == 0
                if is_all or self._is_due():
                    await self._commit()
                if is_all:
                    break
            await self._commit()
            return True
        finally:
            for entry in self._open.values():
                entry.session.close()
            await self._reader.close()

    async def _take(self, message: Stored) -> None:
        session = session_of(message.headers)
        if message.subject == subject_of(self._feed, SESSION_TOKEN):
            self._known.setdefault(session, _manifest(message).identity)
        entry = self._open.get(session) or await self._begin(session)
        events = entry.batches.add(message.headers, message.payload, message.position)
        if events:
            entry.session.add(from_rows(events))
            if self._began_ns is None:
                self._began_ns = self._clock.now_ns()
        if message.subject == subject_of(self._feed, END_TOKEN):
            entry.ending = _manifest(message)
        self._position = max(self._position, message.position)  # what is not acknowledged may come again
        if entry.ending is not None:
            await self._commit()

    async def _begin(self, session: str) -> _Open:
        if session not in self._known:  # it began before what the group has acknowledged
            self._known |= {entry.identity.id: entry.identity for entry in await stream_sessions(self._log)}
        identity = self._known.get(session)
        if identity is None:
            raise SessionError(
                f"the stream does not say what session {session} is: the message {SESSION_TOKEN} is gone",
                hint="raise the limits of the stream (max_age, max_bytes), or archive more often",
            )
        await self._patiently(self._open_session, session, identity)
        return self._open[session]

    def _open_session(self, session: str, identity: Identity) -> None:
        archived = ArchivedSession(self._library, identity, self._log.address.stream)
        self._open[session] = _Open(archived, LogBatches(archived.next_seq))

    def _is_due(self) -> bool:
        if self._began_ns is None:
            return False
        held = sum(entry.session.held_bytes for entry in self._open.values())
        return held >= self._rotation.size_bytes or self._clock.now_ns() - self._began_ns >= self._rotation.age_ns

    async def _commit(self) -> None:
        """Make segments of what is held; acknowledge what no batch that has only begun still needs."""
        for session, entry in list(self._open.items()):
            events = await self._patiently(entry.session.commit, self._position)
            if events:
                self._total.events += events
                self._total.segments += 1
                self._total.sessions.add(session)
            if entry.ending is not None:
                await self._patiently(entry.session.finish, entry.ending)
                entry.session.close()
                del self._open[session]
                self._total.sealed.add(session)
        self._began_ns = None
        begun = [position for entry in self._open.values() if (position := entry.batches.open_position) is not None]
        if self._position:
            await self._reader.acknowledge(min(begun) - 1 if begun else self._position)

    async def _patiently(self, work: Callable[[*_Arguments], _Found], *arguments: *_Arguments) -> _Found:
        """Do what blocks, as often as it takes until the store is there; nothing is read or acknowledged meanwhile."""
        failures, began_ns = 0, self._clock.now_ns()
        while True:
            try:
                found = await _to_its_end(work, *arguments)
            except StoreAway as exc:
                waited_s = (self._clock.now_ns() - began_ns) / 1e9
                if failures % _SAID_EVERY == 0:
                    _LOG.warning(
                        "%s; feed %s waits in the stream until it is back (%.0f s so far)",
                        exc.message, self._feed, waited_s,
                    )  # fmt: skip
                if self._stop.is_set():
                    raise
                failures += 1
                wait_ns = round(patience_s(failures) * 1e9)
                await self._clock.sleep_until(self._clock.now_ns() + wait_ns, self._stop)
            else:
                if failures:
                    _LOG.info("the store is back: feed %s goes on", self._feed)
                return found


async def _to_its_end(work: Callable[[*_Arguments], _Found], *arguments: *_Arguments) -> _Found:
    """Do what blocks on a thread, and not return before it is done: nobody may go on with the session meanwhile."""
    doing = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait((doing,))
        if not doing.cancelled():
            doing.exception()  # seen: asyncio warns of those that nobody looked at
        raise


def _manifest(message: Stored) -> Manifest:
    return Manifest.from_json(message.payload, Path(message.subject))
