"""Tap a live server: clients talk to it through us, and both directions are recorded into one session.

The session begins with the first client. The order of its events is that of arrival at the tap, over all
connections and both directions.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from wsrecorder.clock import Clock
from wsrecorder.core.credentials import redact_url
from wsrecorder.core.event import Batch, Direction
from wsrecorder.core.tap_recorder import TapRecorder
from wsrecorder.errors import OwnMistake, StorageError, WsrecError
from wsrecorder.jobs.disk_outage import DiskOutage
from wsrecorder.jobs.endings import pass_on
from wsrecorder.jobs.mishaps import Mishaps
from wsrecorder.jobs.record_options import Outcome
from wsrecorder.jobs.recording_vitals import RecordingVitals
from wsrecorder.jobs.session_ends import begin_recording, seal_recording
from wsrecorder.jobs.space import FreeSpace, until_low
from wsrecorder.jobs.tap_options import TapClient, TapJobOptions, TapState, TapSummary
from wsrecorder.net.tap import Tap
from wsrecorder.net.tap_receiver import Opened
from wsrecorder.net.transport import Closed
from wsrecorder.store.manifest import Health
from wsrecorder.store.recording import Recording

__all__ = ["TapJob", "tap"]

_LOG: Final = logging.getLogger("wsrecorder.tap")

_TICK_NS: Final = 50_000_000


async def tap(
    options: TapJobOptions,
    clock: Clock,
    stop: asyncio.Event,
    on_started: Callable[[TapJob], None] | None = None,
    mishaps: Mishaps | None = None,
) -> TapSummary:
    """Tap a server until ``stop`` is set or a limit is reached.

    Clients that are connected then are closed with 1012, as a server that restarts would.

    Args:
        options: What to tap and how.
        clock: Where the time comes from.
        stop: Set it to close, seal and return.
        on_started: Told the job, whose ``state`` can be shown, once it listens.
        mishaps: Takes the errors of our own making.

    Raises:
        EndpointError: The address or port cannot be had.
    """
    return await TapJob(options, clock, mishaps).run(stop, on_started)


class TapJob:
    """A tap and its recording.

    Args:
        options: What to tap and how.
        clock: Where the time comes from.
        mishaps: Takes the errors of our own making.

    Attributes:
        mistake: What ended the recording, if it was our fault.
    """

    def __init__(self, options: TapJobOptions, clock: Clock, mishaps: Mishaps | None = None) -> None:
        self.options = options
        self._clock = clock
        self._recorder = TapRecorder(options.record.limits, clock.now_ns())
        self._mishaps = mishaps or Mishaps()
        self.mistake: OwnMistake | None = None
        told = partial(self._mishaps.note, "connection", consequence="it is cut, others go on")
        self._tap = Tap(options.tap, self, clock.now_ns, told)
        self._recording: Recording | None = None
        self._outage: DiskOutage | None = None
        self._making: asyncio.Task[None] | None = None
        self._early: deque[Batch] = deque()  # taken before there was a session to write them into
        self._error: WsrecError | None = None
        self._space = FreeSpace()
        self._watching: asyncio.Task[StorageError] | None = None
        self._health = Health()
        self._messages = {Direction.IN: 0, Direction.OUT: 0}
        self._clients = 0
        self._paused_ns: int | None = None
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    # What the tap tells (see net.tap_receiver).

    def on_open(self, opened: Opened, arrival_ns: int) -> int:
        """Mark that a connection opened."""
        if self._making is None:
            self._recorder.started_ns = arrival_ns
            self._making = self._loop.create_task(self._begin(opened))
        self._clients += 1
        conn = self._recorder.joined(
            arrival_ns,
            {
                "url": redact_url(self._url(opened)),
                "subprotocol": opened.subprotocol,
                "deflate": opened.is_deflated,
                "client": opened.address,
            },
        )
        _LOG.info("connection %d: %s opened %s", conn, opened.address, redact_url(opened.target))
        return conn

    def on_message(self, conn: int, direction: Direction, payload: bytes, opcode: int, arrival_ns: int) -> None:
        """Record a message."""
        self._messages[direction] += 1
        try:
            is_full = self._recorder.message(conn, direction, payload, opcode, arrival_ns)
        except Exception as exc:
            self._mishaps.note("recorder", exc, f"a message of connection {conn} was passed on and not recorded")
            self._recorder.stumbled(arrival_ns, f"an unexpected {type(exc).__name__} in the recorder")
            return
        if is_full:
            self._flush()

    def on_dropped(self, conn: int, direction: Direction, size_bytes: int, cause: str, arrival_ns: int) -> None:
        """Record that a message went by whose content is not known."""
        self._recorder.dropped(conn, direction, arrival_ns, {"cause": cause, "size_bytes": size_bytes})
        _LOG.warning("connection %d: %s was passed on and not recorded", conn, cause)

    def on_close(self, conn: int, closed: Closed, arrival_ns: int) -> None:
        """Mark that a connection ended."""
        reason = self.options.record.feed.shown_text(closed.reason)
        self._recorder.left(conn, arrival_ns, code=closed.code, reason=reason, cause=closed.cause)
        _LOG.info("connection %d: %s (code %d)", conn, closed.cause, closed.code)

    # From start to end.

    async def run(self, stop: asyncio.Event, on_started: Callable[[TapJob], None] | None = None) -> TapSummary:
        """Tap until ``stop`` is set or a limit is reached; see `tap`."""
        async with self._tap:
            if on_started is not None:
                with self._mishaps.contain("panel", "the tap goes on"):
                    on_started(self)
            stopper = asyncio.create_task(pass_on(stop, self._stop))
            ticker = asyncio.create_task(self._tick())
            try:
                await self._stop.wait()
            finally:
                stopper.cancel()
                ticker.cancel()
                await self._tap.close()
        return TapSummary(await self._end(), self.state)

    async def _begin(self, opened: Opened) -> None:
        """Make the session; messages that come meanwhile are stamped and kept."""
        options = self.options.record
        # A replay serves the path that clients ask for, whatever path the server's URL was given with.
        url = self._url(opened).partition("?")[0]
        options = replace(options, feed=replace(options.feed, url=url), name=options.session_name)
        started_ns = self._recorder.started_ns + self._wall_offset_ns()
        try:
            self._recording = await asyncio.to_thread(
                begin_recording, options, started_ns, opened.subprotocol, self._tell_drained, self._clock.now_ns,
                partial(self._mishaps.note, "decoder", consequence="a batch is kept without its types"),
            )  # fmt: skip
        except WsrecError as exc:
            self._error = exc
            self._stop.set()
        except Exception as exc:
            self._error = self._own_mistake(exc)
        else:
            self._outage = DiskOutage(self._recorder, self._recording, self._clock, self.shown_upstream, _LOG)
            watching = until_low(self._recording.sink.on_disk, self._space, self._clock)
            self._watching = asyncio.create_task(watching)
            self._mishaps.watch(self._watching, "recorder", "nobody watches the free space any more")
        self._flush()

    async def _end(self) -> Outcome:
        """Seal the session."""
        if self._making is None:
            return Outcome(None, None, None)
        await self._making
        if self._watching is not None:
            self._watching.cancel()
        if self._recording is None:
            return Outcome(None, None, self._error)
        with self._mishaps.contain("recorder"):
            if self._outage is not None:
                self._outage.finish()
            self._recorder.ended(self._clock.now_ns())
        self._flush()
        self._health.gaps = self._recorder.gaps
        outcome = await seal_recording(self._recording, self._health, self.mistake or self._recording.error)
        if isinstance(outcome.error, OwnMistake):
            self._mishaps.note("writer", outcome.error, "the recording has ended")
        return outcome

    async def _tick(self) -> None:
        """Every 50 ms: flush what is old enough, look for the end, measure the loop."""
        duration_ns = self.options.record.limits.duration_ns
        due_ns = began_ns = self._clock.now_ns()
        while True:
            due_ns = max(due_ns + _TICK_NS, self._clock.now_ns())
            await self._clock.sleep_until(due_ns)
            now_ns = self._clock.now_ns()
            late_ms = round((now_ns - due_ns) / 1e6, 3)
            self._health.longest_stall_ms = max(self._health.longest_stall_ms, late_ms)
            with self._mishaps.contain("recorder", "recording goes on"):
                if self._recorder.is_due(now_ns + _TICK_NS):  # at the next tick it would be too late
                    self._flush()
            if duration_ns is not None and now_ns - began_ns >= duration_ns:
                self._stop.set()

    def _flush(self) -> None:
        """Hand what was collected to the writer; hold everybody back when it cannot keep up."""
        try:
            batch = self._recorder.take(self._wall_offset_ns())
            if self._recorder.complete:
                self._stop.set()
            if batch is not None:
                self._early.append(batch)
            if self._recording is None:
                return  # the session is being made
            while self._early and self.mistake is None:  # after one, events may be missing between
                if not self._recording.offer(self._early.popleft()):
                    self._hold_back()
        except WsrecError:
            self._stop.set()
        except Exception as exc:
            self._own_mistake(exc)

    def _own_mistake(self, error: Exception) -> OwnMistake:
        """End the recording, and with it the tap, by a mistake of ours."""
        self._stop.set()
        self.mistake = self._mishaps.end_of_recording("recorder", error, self.shown_upstream)
        return self.mistake

    def _hold_back(self) -> None:
        if self._outage is not None and self._outage.let_go():
            return
        if self._paused_ns is None:
            self._paused_ns = self._clock.now_ns()
            self._tap.hold_back()

    def _tell_drained(self) -> None:
        """Called on the writer thread."""
        self._loop.call_soon_threadsafe(self._on_drained)

    def _on_drained(self) -> None:
        """Read on: the writer has caught up, waits for the disk, or has failed."""
        if self._outage is not None:
            self._outage.look()
        if self._paused_ns is not None:
            self._health.paused_ms += (self._clock.now_ns() - self._paused_ns) / 1e6
            self._paused_ns = None
            self._tap.read_on()
        if self._recording is not None and self._recording.error is not None:
            self._stop.set()

    def _wall_offset_ns(self) -> int:
        return self._clock.wall_ns() - self._clock.now_ns()

    def _url(self, opened: Opened) -> str:
        """Return what a client asked for as a URL of the server."""
        path, _, query = opened.target.partition("?")
        return urlunsplit(urlsplit(self.options.tap.upstream)._replace(path=path, query=query, fragment=""))

    @property
    def shown_upstream(self) -> str:
        """The server's URL, without credentials."""
        return redact_url(self.options.tap.upstream)

    @property
    def vitals(self) -> RecordingVitals:
        """What a metric is made of, beside its state."""
        return RecordingVitals(self.shown_upstream, self._recorder, self._recording, self._health, self._space)

    @property
    def state(self) -> TapState:
        """How it stands now."""
        recording = self._recording
        return TapState(
            url=self._tap.url,
            clients=[
                TapClient(
                    conn=tunnel.conn,
                    address=tunnel.opened.address,
                    target=redact_url(tunnel.opened.target),
                    messages_in=tunnel.from_server.messages,
                    messages_out=tunnel.to_server.messages,
                    waiting_bytes=connection.client.waiting_bytes,
                )
                for connection in self._tap.connections
                if connection.is_open and (tunnel := connection.tunnel) is not None
            ],
            clients_served=self._clients,
            refused=self._tap.turned_away.by_reason(),
            messages_in=self._messages[Direction.IN],
            messages_out=self._messages[Direction.OUT],
            size_bytes=recording.sink.tally.size_bytes if recording else 0,
            disk_bytes=recording.sink.size_bytes if recording else 0,
            added=self._tap.added,
            gaps=self._recorder.gaps,
            types=dict(recording.sink.tally.types) if recording else {},
            path=recording.sink.path if recording else None,
        )
