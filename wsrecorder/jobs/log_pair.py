"""Recorders of one session: one publishes, the others stand by with all of it on their disks.

Who publishes holds the session's lease: the last message of ``wsrec.@lease.SESSION``. Each of its messages names that
lease, and the server refuses those of a lease that another has taken since, so that two never publish at a time. Who
stands by asks whether the holder is there; when nobody has answered for a while it takes the lease, finds the last
frames of the stream among its own, and goes on behind them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from wsrecorder.core.event import Event
from wsrecorder.core.log_batches import LogBatches
from wsrecorder.core.log_message import (
    SESSION_TOKEN,
    batch_of,
    events_of,
    feed_subjects,
    lease_subject,
    part_of,
    presence_subject,
    session_of,
    subject_of,
)
from wsrecorder.core.log_takeover import Shift, behind, is_shared
from wsrecorder.jobs.log_session import LogSession
from wsrecorder.net.jetstream import EventLog
from wsrecorder.net.log_lease import ASK_S, SILENT_S, Lease
from wsrecorder.net.log_reader import LogReader
from wsrecorder.store.manifest import Manifest
from wsrecorder.store.schema import RecordBatch, iter_events
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import ParquetStore

__all__ = ["PairedSession"]

_LOG: Final = logging.getLogger("wsrecorder.record")

_TAIL: Final = 64
"""Frames of the stream that are looked for."""

_KEPT_NS: Final = 60_000_000_000
_MESSAGES_BACK: Final = 400
_MOST_LOOKED_AT: Final = 20_000


class PairedSession(LogSession):
    """Publishes a session that others record too.

    Args:
        store: The session in the spool.
        manifest: As of now; its identity names the session that all of them record.
        recorder: A name of this recorder that no other has.
        ends: Whether the session ends with it, if nobody stands by.
    """

    def __init__(self, store: ParquetStore, manifest: Manifest, recorder: str, *, ends: bool = True) -> None:
        super().__init__(store, manifest)
        self._recorder = recorder
        self._ends = ends
        self._end_id = f"end-{recorder}"
        self._lease_subject = lease_subject(self._identity.id)
        self._holders, self._standbys = (presence_subject(self._identity.id, role) for role in ("holder", "standby"))
        self._shift = Shift()
        self._first_seq = 0
        self._holds_lease = False

    async def resume(self, log: EventLog) -> None:
        """Wait for the lease, then find out how far the stream has come."""
        lease = Lease(log, self._lease_subject)
        last = await lease.holder()
        if last is not None and last.name == self._recorder:
            self.lease = lease.subject, last.position
        elif not await self._take_lease(log, lease):
            self.has_ended = True  # the other one has all of it, and we are asked to end
            return
        await lease.answer(self._holders)
        if not self._holds_lease:
            self._holds_lease = True
            await self._align(log)
        next_seq = self.next_seq
        await super().resume(log)
        if self.has_ended:  # by somebody before us: it goes on all the same
            self.has_ended, self.next_seq = False, next_seq
        if self._doubtful is not None and self._doubtful.first_seq < self._first_seq:
            # The last batch is the other one's.
            self._doubtful, self.next_seq = None, self._first_seq - self._shift.seq

    async def _take_lease(self, log: EventLog, lease: Lease) -> bool:
        """Wait until nobody holds the lease and take it; return False where the recording ends before."""
        self._holds_lease = False
        silent_s, has_told = 0.0, False
        while True:
            last = await lease.holder()
            if last is not None and await lease.asks(self._holders, ASK_S):
                silent_s = 0.0
                if not has_told:
                    has_told = True
                    await lease.answer(self._standbys)
                    _LOG.info("another recorder publishes %s: standing by", self._identity.id)
                if self._ending is not None:
                    return False
                await self._forget_what_is_there(log)
            elif last is None or silent_s >= SILENT_S:
                position = await lease.claim(self._recorder, 0 if last is None else last.position)
                if position is not None:
                    self.lease = lease.subject, position
                    return True
            await asyncio.sleep(ASK_S)
            silent_s += ASK_S

    async def _forget_what_is_there(self, log: EventLog) -> None:
        """Let go of segments that are a while older than what the stream holds."""
        last = await log.last(feed_subjects(self._identity.name))
        if last is None or session_of(last.headers) != self._identity.id or batch_of(last.headers) is None:
            return
        received_ns = events_of(last.headers, last.payload)[-1].received_ns if part_of(last.headers)[1] == 1 else 0
        for info in self._manifest.segments:
            if self._identity.started_ns + info.last_elapsed_ns < received_ns - _KEPT_NS:
                self._safe_seq = max(self._safe_seq, info.next_seq)

    async def _align(self, log: EventLog) -> None:
        """Find out which of our own events comes next, where another has published before us."""
        tail = await self._end_of_stream(log)
        if not tail:
            return
        began = await log.last(subject_of(self._identity.name, SESSION_TOKEN))
        about = Manifest.from_json(began.payload, Path(began.subject)).identity if began is not None else self._identity
        beat, final = self._identity.dialect.heartbeat_type, tail[-1]
        frames = [event.payload or b"" for event in tail if is_shared(event, beat)][-_TAIL:]
        own = await asyncio.to_thread(self._own_frames, beat)
        index = behind(frames, [frame for _, frame in own]) if frames else 0
        if index is None:
            _LOG.warning("what the stream ends with is not on our disk: events may be missing in between")
            index = 0
        seq = own[index][0] if index < len(own) else self.written if own else self._safe_seq
        elapsed_ns = self._identity.started_ns - about.started_ns
        self._shift = Shift(final.seq + 1 - seq, final.conn + 1, elapsed_ns, final.elapsed_ns)
        self._offset, self._first_seq, self.next_seq = self._shift.seq, final.seq + 1, seq
        _LOG.warning("nobody publishes %s any more: going on with event %d", self._identity.id, final.seq + 1)

    async def _end_of_stream(self, log: EventLog) -> list[Event]:
        """Return the last events of the session in the stream."""
        last = await log.last(feed_subjects(self._identity.name))
        if last is None:
            return []
        batches, events = LogBatches(), deque[Event](maxlen=_MOST_LOOKED_AT)
        reader = LogReader(log, feed_subjects(self._identity.name), last.position - _MESSAGES_BACK)
        while reader.next_position <= last.position:
            for message in await reader.fetch(1.0):
                if session_of(message.headers) == self._identity.id:
                    events.extend(batches.add(message.headers, message.payload, message.position))
        await reader.close()
        return list(events)

    def _own_frames(self, heartbeat_type: str | None) -> list[tuple[int, bytes]]:
        """Return the frames on our disk that the other one got too, each with its number."""
        return [
            (event.seq, event.payload or b"")
            for rows in self.store.batches(Selection(from_seq=self._safe_seq))
            for event in iter_events(rows)
            if is_shared(event, heartbeat_type)
        ]

    def _events(self, rows: RecordBatch) -> Iterator[Event]:
        return map(self._shift.apply, iter_events(rows))

    async def _publish_end(self, log: EventLog, manifest: Manifest) -> None:
        """End the session, unless somebody stands by to go on with it."""
        if not self._ends or await Lease(log, self._lease_subject).asks(self._standbys, ASK_S):
            self.has_ended = True
            return
        ending = msgspec.structs.replace(manifest)
        ending.events += self._shift.seq
        ending.last_elapsed_ns += self._shift.elapsed_ns
        await super()._publish_end(log, ending)
