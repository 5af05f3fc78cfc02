"""Archiving one feed of a stream: read in order, hold, commit, and only then acknowledge."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from wsrecorder.clock import Clock
from wsrecorder.core.log_batches import LogBatches
from wsrecorder.core.log_message import END_TOKEN, SESSION_TOKEN, feed_subjects, session_of, subject_of
from wsrecorder.errors import SessionError
from wsrecorder.jobs.stream_sessions import stream_sessions
from wsrecorder.net.jetstream import EventLog, Stored
from wsrecorder.net.log_reader import LogReader
from wsrecorder.store.archive import ArchivedSession
from wsrecorder.store.manifest import Identity, Manifest
from wsrecorder.store.schema import from_rows

__all__ = ["Archived", "FeedArchive", "Rotation"]


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
        library: Folder of sessions.
        consumer: Name of the group's durable consumer.
        rotation: When a segment is made.
        clock: Where the time comes from.
        total: Told what was committed.
    """

    def __init__(
        self, log: EventLog, feed: str, library: Path, consumer: str, rotation: Rotation, clock: Clock, total: Archived
    ) -> None:
        self._log = log
        self._feed = feed
        self._library = library
        self._rotation = rotation
        self._clock = clock
        self._total = total
        self._reader = LogReader(log, feed_subjects(feed), group=consumer)
        self._known: dict[str, Identity] = {}
        self._open: dict[str, _Open] = {}
        self._position = 0
        self._began_ns: int | None = None

    async def run(self, stop: asyncio.Event, *, follows: bool) -> None:
        """Archive until ``stop`` is set, or all that is there is committed.

        Raises:
            LogAway: The stream does not answer; what was committed is acknowledged the next time.
            SessionError: A session cannot be written.
            StorageError: The disk refuses.
        """
        try:
            while not stop.is_set():
                for message in await self._reader.fetch(0.5):
                    await self._take(message)
                is_all = not follows and self._reader.pending == 0
                if is_all or self._is_due():
                    await self._commit()
                if is_all:
                    break
            await self._commit()
        finally:
            for entry in self._open.values():
                entry.session.close()
            await self._reader.close()

    async def _take(self, message: Stored) -> None:
        session = session_of(message.headers)
        if message.subject == subject_of(self._feed, SESSION_TOKEN):
            self._known[session] = _manifest(message).identity
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
        archived = await asyncio.to_thread(ArchivedSession, self._library, identity, self._log.address.stream)
        self._open[session] = found = _Open(archived, LogBatches(archived.next_seq))
        return found

    def _is_due(self) -> bool:
        if self._began_ns is None:
            return False
        held = sum(entry.session.held_bytes for entry in self._open.values())
        return held >= self._rotation.size_bytes or self._clock.now_ns() - self._began_ns >= self._rotation.age_ns

    async def _commit(self) -> None:
        """Make segments of what is held; acknowledge what no batch that has only begun still needs."""
        for session, entry in list(self._open.items()):
            events = await asyncio.to_thread(entry.session.commit, self._position)
            if events:
                self._total.events += events
                self._total.segments += 1
                self._total.sessions.add(session)
            if entry.ending is not None:
                await asyncio.to_thread(entry.session.finish, entry.ending)
                entry.session.close()
                del self._open[session]
                self._total.sealed.add(session)
        self._began_ns = None
        begun = [position for entry in self._open.values() if (position := entry.batches.open_position) is not None]
        if self._position:
            await self._reader.acknowledge(min(begun) - 1 if begun else self._position)


def _manifest(message: Stored) -> Manifest:
    return Manifest.from_json(message.payload, Path(message.subject))
