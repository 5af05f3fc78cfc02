"""A session in a stream, read as one on the disk is: history first, then what comes, without a seam.

Both come from one ordered consumer, which goes on where it was when it is asked again: there is no moment at which
history ends and something else begins. Whoever begins elsewhere gets a consumer of their own; where it begins is
found by halving the stream, for batches carry their numbers and times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from wsrecorder.core.event import Event
from wsrecorder.core.log_batches import LogBatches
from wsrecorder.core.log_message import END_TOKEN, batch_of, feed_subjects, session_of, subject_of
from wsrecorder.core.stream_address import StreamAddress
from wsrecorder.jobs.stream_sessions import StreamSession, choose, stream_sessions
from wsrecorder.net.jetstream import LogAway, Stored
from wsrecorder.net.log_reader import LogReader
from wsrecorder.net.log_thread import LogThread
from wsrecorder.store.manifest import Identity, Manifest
from wsrecorder.store.schema import RecordBatch, from_rows
from wsrecorder.store.selection import Selection

__all__ = ["StreamStore"]

_WAIT_S: Final = 0.25
"""How long is waited for what comes next; whoever follows asks again at once."""

_AWAY_TRIES: Final = 240
"""A minute; history that cannot be read for so long ends a replay, what is live is waited for however long."""


class StreamStore:
    """A session of a stream.

    Attributes:
        path: Name of the stream and id of the session, for people.
        follows: Whether more may come.

    Args:
        address: The stream, and perhaps the session.

    Raises:
        SessionNotFound: There is no such stream or session.
        FeedError: The server does not answer, or refuses.
    """

    def __init__(self, address: StreamAddress) -> None:
        self.follows = True
        self._thread = LogThread(address)
        try:
            self._session: StreamSession = choose(address, self._thread.run(stream_sessions(self._thread.log)))
        except BaseException:
            self._thread.close()
            raise
        self.path = Path(address.stream) / self._session.identity.id
        self._feed = self._session.identity.name
        self._subjects = feed_subjects(self._feed)
        self._end_subject = subject_of(self._feed, END_TOKEN)
        self._sealed: Manifest | None = None
        self._held: dict[Selection, tuple[int, _Cursor]] = {}

    def identity(self) -> Identity:
        """Return what it is."""
        return self._session.identity

    def manifest(self) -> Manifest:
        """Return its manifest as of now: its own where it has ended, else what the last batch tells.

        Of types it tells those that the feed has had in the stream, each with its messages.

        Raises:
            LogAway: The stream does not answer.
        """
        if self._sealed is None:
            end = self._mine(self._thread.run(self._thread.log.last(self._end_subject)))
            if end is not None:
                self._sealed = Manifest.from_json(end.payload, self.path)
        return self._sealed or self._manifest_so_far()

    def _manifest_so_far(self) -> Manifest:
        log = self._thread.log
        last = self._thread.run(log.last(self._subjects))
        span = None if last is None or self._mine(last) is None else batch_of(last.headers)
        found = self._thread.run(log.subjects(self._subjects))
        tokens = {subject.rpartition(".")[2]: count for subject, count in found.items()}
        manifest = Manifest(identity=self._session.identity)
        manifest.types = {unquote(name): count for name, count in tokens.items() if not name.startswith("@")}
        manifest.messages = sum(manifest.types.values()) + tokens.get("@untyped", 0)
        manifest.connections, manifest.gaps = tokens.get("@open", 0), tokens.get("@gap", 0)
        if span is not None:
            manifest.events, manifest.last_elapsed_ns = span.next_seq, span.last_elapsed_ns
        return manifest

    def _mine(self, message: Stored | None) -> Stored | None:
        is_mine = message is not None and session_of(message.headers) == self._session.identity.id
        return message if is_mine else None

    def batches(self, selection: Selection) -> Iterator[RecordBatch]:
        """Yield the events wanted as record batches, in sequence, as far as the stream has come.

        Asked again for what follows, it goes on with the same consumer.

        Raises:
            LogAway: The stream has not answered for a minute.
            SessionError: A message is none that wsrec wrote.
        """
        key = replace(selection, from_seq=0)
        next_seq, cursor = self._held.pop(key, (-1, None))
        if cursor is None or next_seq != selection.from_seq:
            if cursor is not None:
                self._thread.begin(cursor.reader.close())
            cursor = self._cursor(selection)
        next_seq, is_whole = selection.from_seq, False
        try:
            for rows in cursor.rows_until_now():
                if selection.is_past(rows):
                    return
                wanted = selection.apply(rows)
                if len(wanted):
                    # Who follows asks for what comes behind the last one given, whatever was left out since.
                    next_seq = wanted.column("seq")[-1].as_py() + 1 if "seq" in wanted.schema.names else -1
                    yield wanted
            is_whole = True
        finally:
            if is_whole:
                self._held[key] = next_seq, cursor
            else:
                self._thread.begin(cursor.reader.close())
        if cursor.has_ended:
            self.follows = False

    def _cursor(self, selection: Selection) -> _Cursor:
        position = self._thread.run(self._find(selection))
        reader = LogReader(self._thread.log, self._subjects, position)
        return _Cursor(self._thread, reader, self._session.identity.id, self._end_subject, selection.from_seq)

    async def _find(self, selection: Selection) -> int:
        """Return a position from which on all that is wanted comes, close to the first of it."""
        log = self._thread.log
        low, high = self._session.position, (await log.span())[1] + 1
        if selection.from_seq <= 0 and selection.start_ns is None:
            return low
        while low < high:
            middle = (low + high) // 2
            found = await log.at(middle, self._subjects)
            if found is not None and self._is_before(found, selection):
                low = found.position + 1
            else:
                high = middle
        return low

    def _is_before(self, message: Stored, selection: Selection) -> bool:
        """Return whether all of a message's batch comes before what is wanted; where it cannot be told, it does not."""
        span = batch_of(message.headers)
        if self._mine(message) is None or span is None:
            return False
        return span.next_seq <= selection.from_seq or (
            selection.start_ns is not None and span.last_elapsed_ns < selection.start_ns
        )

    def close(self) -> None:
        """Let go of the stream."""
        self._thread.close()


class _Cursor:
    """Reads one session on and on.

    Attributes:
        reader: The consumer.
        has_ended: Whether the session's end was read.
    """

    def __init__(self, thread: LogThread, reader: LogReader, session: str, end_subject: str, from_seq: int) -> None:
        self.reader = reader
        self.has_ended = False
        self._thread = thread
        self._session = session
        self._end_subject = end_subject
        self._batches = LogBatches(from_seq or None)
        self._is_live = False

    def rows_until_now(self) -> Iterator[RecordBatch]:
        """Yield what has come since, until nothing is left for now."""
        tries = 0
        while True:
            try:
                messages = self._thread.run(self.reader.fetch(_WAIT_S))
                tries = 0
            except LogAway:
                if self._is_live:
                    return  # for now; whoever follows asks again
                tries += 1
                if tries >= _AWAY_TRIES:
                    raise
                self._thread.run(asyncio.sleep(_WAIT_S))
                continue
            events = [event for message in messages for event in self._events(message)]
            yield from _rows(events)
            if self.has_ended or self.reader.pending == 0:
                self._is_live = True
                return

    def _events(self, message: Stored) -> list[Event]:
        if session_of(message.headers) != self._session:
            return []
        if message.subject == self._end_subject:
            self.has_ended = True
        return self._batches.add(message.headers, message.payload, message.position)


def _rows(events: list[Event]) -> Iterator[RecordBatch]:
    """Yield events as record batches, a new one where the stream has dropped some."""
    start = 0
    for index in range(1, len(events) + 1):
        if index == len(events) or events[index].seq != events[index - 1].seq + 1:
            yield from_rows(events[start:index])
            start = index
