"""A session that is published into a stream: what is there already, what comes next, what is not needed here any more.

The stream itself says how far it has come: after every interruption the last batch of the session is looked up, what
is missing of it is published, under the same ids, and then what follows. So nothing is kept beside the spool.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final

from wsrecorder.core.event import Event
from wsrecorder.core.log_message import (
    END_TOKEN,
    MESSAGE_ID,
    SESSION_TOKEN,
    BatchSpan,
    LogMessage,
    batch_of,
    cut,
    feed_subjects,
    messages_of,
    session_headers,
    session_of,
    subject_of,
)
from wsrecorder.net.jetstream import EventLog, Stored
from wsrecorder.net.log_reader import LogReader
from wsrecorder.store import disk
from wsrecorder.store.manifest import Manifest
from wsrecorder.store.schema import RecordBatch, iter_events
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import EVENTS_FOLDER, ParquetStore

__all__ = ["LogSession"]

_TIMEOUT_S: Final = 5.0
"""Longer than an election takes; what is not acknowledged by then is looked up and published again."""

_MOST_EVENTS: Final = 4_096
_HELD_BYTES: Final = 16 << 20
_REST_S: Final = 0.05


class LogSession:
    """Publishes one session, from memory where it can, else from its spool.

    Used by the publisher's thread, but for `offer` and `end`.

    Attributes:
        store: Where it is on the disk.
        next_seq: All events before this one are acknowledged.
        written: Events that are on the disk.
        has_ended: Whether the end is acknowledged too.
        lease: Subject and position of the lease by which it publishes; None where there is none.

    Args:
        store: The session in the spool.
        manifest: As of now; the recorder's own, of a session that is being recorded.
    """

    def __init__(self, store: ParquetStore, manifest: Manifest) -> None:
        self.store = store
        self.next_seq = 0
        self.written = manifest.events
        self.has_ended = False
        self._manifest = manifest
        self._identity = manifest.identity
        self._ending: Manifest | None = None
        self._held: deque[tuple[int, RecordBatch]] = deque()
        self._held_bytes = 0
        self._doubtful: BatchSpan | None = None
        self._dropped = 0
        self._safe_seq = 0
        self._end_id = "end"
        self._offset = 0  # from our own numbers to those of the stream, which another recorder may have begun
        self.lease: tuple[str, int] | None = None

    def offer(self, first_seq: int, rows: RecordBatch) -> None:
        """Tell of rows that are on the disk now; they are kept in memory while there is room."""
        if self._held_bytes < _HELD_BYTES:
            self._held.append((first_seq, rows))
            self._held_bytes += rows.nbytes
        self.written = first_seq + len(rows)

    def end(self, manifest: Manifest) -> None:
        """Tell that there is nothing more to come."""
        self.written = manifest.events
        self._ending = manifest

    @property
    def waiting(self) -> int:
        """Events that are not acknowledged yet."""
        return self.written - self.next_seq

    # After every interruption.

    async def resume(self, log: EventLog) -> None:
        """Find out how far the stream has come."""
        feed = self._identity.name
        subject = subject_of(feed, SESSION_TOKEN)
        told = await log.last(subject)
        if told is None or session_of(told.headers) != self._identity.id:
            about = Manifest(identity=self._identity).to_json()
            headers = session_headers(self._identity.id, "session")
            await log.publish([LogMessage(subject, headers, about)], _TIMEOUT_S, self.lease)
        last = await log.last(feed_subjects(feed))
        if last is not None and session_of(last.headers) != self._identity.id:
            last = await self._last_by_reading(log, subject)
        span = None if last is None else batch_of(last.headers)
        self.has_ended = last is not None and last.subject == subject_of(feed, END_TOKEN)
        self._doubtful = span
        self.next_seq = (
            self.written if self.has_ended else self.next_seq if span is None else span.first_seq - self._offset
        )

    async def _last_by_reading(self, log: EventLog, subject: str) -> Stored | None:
        """Return the session's last message where others of the same feed follow it."""
        first = await log.at(1, subject)
        while first is not None and session_of(first.headers) != self._identity.id:
            first = await log.at(first.position + 1, subject)
        if first is None:
            return None
        reader, last = LogReader(log, feed_subjects(self._identity.name), first.position), first
        while found := await reader.fetch(1.0):
            last = next((entry for entry in reversed(found) if session_of(entry.headers) == self._identity.id), last)
            if reader.pending == 0:
                break
        await reader.close()
        return last

    async def _settle(self, log: EventLog, span: BatchSpan) -> None:
        """Publish what is missing of a batch that was begun."""
        rows = await asyncio.to_thread(self._read, span.first_seq - self._offset, span.next_seq - self._offset)
        events = [event for batch in rows for event in self._events(batch)]
        messages = self._messages(events, log.most_bytes)
        await log.publish(
            [message for message in messages if not await self._is_there(log, message, messages)], 30.0, self.lease
        )
        self._note_acknowledged(span)
        self._doubtful = None

    async def _is_there(self, log: EventLog, message: LogMessage, messages: Sequence[LogMessage]) -> bool:
        last = await log.last(message.subject)
        if last is None:
            return False
        # Of one subject they go one after the other, so the last one tells of those before it.
        ids = [other.headers[MESSAGE_ID] for other in messages if other.subject == message.subject]
        found = last.headers.get(MESSAGE_ID, "")
        return found in ids and ids.index(message.headers[MESSAGE_ID]) <= ids.index(found)

    def _read(self, first_seq: int, next_seq: int) -> list[RecordBatch]:
        return list(self.store.batches(Selection(from_seq=first_seq, to_seq=next_seq)))

    # Publishing.

    async def publish(self, log: EventLog) -> None:
        """Publish all there is, and what comes, until the end is acknowledged.

        Raises:
            LogAway: The stream does not answer; `resume` comes first then.
            FeedError: The stream refuses.
        """
        await self.resume(log)
        if self._doubtful is not None and not self.has_ended:
            await self._settle(log, self._doubtful)
        while not self.has_ended:
            for rows in self._from_memory():
                await self._publish_rows(log, rows)
            if self.next_seq < self.written:
                await self._publish_from_disk(log)
            elif self._ending is not None:
                await self._publish_end(log, self._ending)
            else:
                await asyncio.sleep(_REST_S)

    def _from_memory(self) -> Iterator[RecordBatch]:
        while self._held and self._held[0][0] <= self.next_seq:
            first_seq, rows = self._held.popleft()
            self._held_bytes -= rows.nbytes
            if first_seq + len(rows) > self.next_seq:
                yield rows.slice(self.next_seq - first_seq)

    async def _publish_from_disk(self, log: EventLog) -> None:
        reading = iter(self.store.batches(Selection(from_seq=self.next_seq)))
        while (rows := await asyncio.to_thread(next, reading, None)) is not None:
            await self._publish_rows(log, rows)
            if self._held and self._held[0][0] <= self.next_seq:
                return

    async def _publish_rows(self, log: EventLog, rows: RecordBatch) -> None:
        """Publish rows, batch by batch: the next one is made while the one before it is on its way."""
        sending: asyncio.Task[None] | None = None
        spans: list[BatchSpan] = []
        try:
            for events in cut(self._events(rows), log.most_bytes, _MOST_EVENTS):
                messages = self._messages(events, log.most_bytes)
                if sending is not None:
                    await sending
                    self._note_acknowledged(spans.pop())
                spans.append(BatchSpan(events[0].seq, len(events), events[-1].elapsed_ns))
                sending = asyncio.create_task(log.publish(messages, _TIMEOUT_S, self.lease))
                await asyncio.sleep(0)
            if sending is not None:
                await sending
                self._note_acknowledged(spans.pop())
        finally:
            if sending is not None:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    async def _publish_end(self, log: EventLog, manifest: Manifest) -> None:
        headers = session_headers(self._identity.id, self._end_id)
        subject = subject_of(self._identity.name, END_TOKEN)
        await log.publish([LogMessage(subject, headers, manifest.to_json())], _TIMEOUT_S, self.lease)
        self.has_ended = True

    def _events(self, rows: RecordBatch) -> Iterator[Event]:
        """Yield events as they are to be in the stream."""
        return iter_events(rows)

    def _messages(self, events: Sequence[Event], most_bytes: int) -> list[LogMessage]:
        return messages_of(self._identity.id, self._identity.name, events, most_bytes)

    def _note_acknowledged(self, span: BatchSpan) -> None:
        # The last batch stays on the disk: whoever goes on after a crash looks whether all of it is there.
        self._safe_seq, self.next_seq = span.first_seq - self._offset, span.next_seq - self._offset

    def drop_published(self) -> None:
        """Remove the sealed segments that nobody will read here again."""
        sealed: Sequence[Any] = self._manifest.segments
        for info in sealed[self._dropped :]:
            if info.next_seq > self._safe_seq:
                return
            path = self.store.path / EVENTS_FOLDER / info.name
            disk.discard(path)
            self._dropped += 1
