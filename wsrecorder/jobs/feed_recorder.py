"""The recorder of one feed: connect, take frames until the connection is lost, wait, connect again.

Beside that loop a ticker flushes batches that are old enough, notices a feed that has gone silent, and
measures how long the event loop itself was held up.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from functools import partial
from pathlib import Path
from typing import Final

from wsrecorder.clock import Clock
from wsrecorder.core.black_box import Cause, Trigger
from wsrecorder.core.event import Batch, Opcode
from wsrecorder.core.recorder import Recorder
from wsrecorder.errors import FeedError, OwnMistake, StorageError, WsrecError
from wsrecorder.jobs.black_box import black_box_of, tell_time
from wsrecorder.jobs.disk_outage import DiskOutage
from wsrecorder.jobs.endings import lost_feed, pass_on
from wsrecorder.jobs.mishaps import Mishaps
from wsrecorder.jobs.reaching import Reaching
from wsrecorder.jobs.record_options import FeedState, Outcome, RecordOptions
from wsrecorder.jobs.recording_vitals import RecordingVitals
from wsrecorder.jobs.session_ends import begin_recording, seal_recording
from wsrecorder.jobs.space import FreeSpace, until_low
from wsrecorder.net.feed import connect_feed
from wsrecorder.net.transport import Closed, Link
from wsrecorder.store.manifest import Health
from wsrecorder.store.recording import Recording

__all__ = ["FeedRecorder"]

_LOG: Final = logging.getLogger("wsrecorder.record")

_TICK_NS: Final = 50_000_000


class FeedRecorder:
    """Records one feed.

    Args:
        options: What to record and how.
        clock: Where the time comes from.
        mishaps: Takes the errors of our own making.
        is_patient: Whether it tries again where the feed cannot be reached at the start.
    """

    def __init__(
        self, options: RecordOptions, clock: Clock, mishaps: Mishaps | None = None, *, is_patient: bool = False
    ) -> None:
        self.options = options
        self.mistake: OwnMistake | None = None  # what made an end of it, if it was our fault
        self._mishaps = mishaps or Mishaps()
        self._clock = clock
        self._now_ns = clock.now_ns
        self._status = "connecting"
        self._recorder = Recorder(options.limits, clock.now_ns())
        self._recording: Recording | None = None
        self._outage: DiskOutage | None = None
        self._link: Link | None = None
        self._subprotocol: str | None = None
        self._early: deque[Batch] = deque()  # taken before there was a session to write them into
        self._triggers: deque[Trigger] = deque()  # asked of the black box, and not told it yet
        self._health = Health()
        self._stop = asyncio.Event()
        self._is_patient = is_patient
        self.reaching = Reaching(options, self._connect, clock, self._stop, self._mishaps, self._tell_status)
        self._paused_ns: int | None = None
        self._is_yielding = False
        self._space = FreeSpace(options.min_free_bytes)
        self._no_space: StorageError | None = None
        self._loop = asyncio.get_running_loop()

    # What the link tells (see net.transport.Receiver).

    def on_open(self, subprotocol: str | None, is_deflated: bool) -> None:
        """Mark that a connection is open."""
        now_ns = self._now_ns()
        subprotocol = self.options.feed.shown_subprotocol(subprotocol)
        if self._recorder.connections == 0:
            self._recorder.started_ns = now_ns
            self._subprotocol = subprotocol
        self._recorder.opened(now_ns, {"url": self.shown_url, "subprotocol": subprotocol, "deflate": is_deflated})

    def on_frame(self, payload: bytes, opcode: int) -> None:
        """Take a message; stamps it."""
        try:
            is_full = self._recorder.frame(payload, opcode, self._now_ns())
        except Exception as exc:
            self._mishaps.note("feed", exc, f"a frame of {self.shown_url} is lost")
            self._recorder.stumbled(self._now_ns(), f"an unexpected {type(exc).__name__} in the recorder")
            return
        if is_full:
            self._flush()
            self._let_others_run()

    def snapshot(self, cause: Cause, reason: str) -> bool:
        """Have the black box write what it has; return False where nothing is recorded yet, or any more."""
        is_over = self._status == "ended" or (self._recording is not None and self._recording.error is not None)
        if self.options.black_box is None or is_over or not self._recorder.connections:
            return False
        self._triggers.append(Trigger(cause, self._now_ns() - self._recorder.started_ns, reason))
        self._flush()  # what came before the trigger is looked at before it
        return True

    async def run(self, stop: asyncio.Event) -> Outcome:
        """Record until ``stop`` is set, a limit is reached, or the feed is lost for good.

        Never raises on account of the feed or the disk: the outcome says it.
        """
        stopper = asyncio.create_task(pass_on(stop, self._stop))
        try:
            return await self._run()
        finally:
            stopper.cancel()

    def give_up(self) -> None:
        """End it if the feed was never reached."""
        if self.reaching.refusal is not None:
            self._stop.set()

    async def _run(self) -> Outcome:
        try:
            self._link = await self.reaching.first(is_patient=self._is_patient)
            started_ns = self._recorder.started_ns + self._wall_offset_ns()
            # Making the session waits for the disk: frames that come meanwhile are stamped and kept.
            self._recording = await asyncio.to_thread(
                begin_recording, self.options, started_ns, self._subprotocol, self._tell_drained, self._now_ns,
                partial(self._mishaps.note, "decoder", consequence="a batch is kept without its types"),
            )  # fmt: skip
        except Exception as exc:
            self._status = "ended"
            refusal = exc if isinstance(exc, WsrecError) else self._own_mistake(exc)
            if self._link is not None:
                with self._mishaps.contain("feed"):
                    await self._link.close()
            return Outcome(None, None, refusal)
        self._outage = DiskOutage(self._recorder, self._recording, self._clock, self.shown_url, _LOG)
        self._flush()
        ticker = asyncio.create_task(self._tick())
        guard = asyncio.create_task(self._watch_space(self._recording.sink.on_disk))
        self._mishaps.watch(guard, "feed", "nobody watches the free space any more")
        error: WsrecError | None = None
        try:
            error = await self._follow() or self._no_space
        except Exception as exc:
            self._own_mistake(exc)
        finally:
            for task in (ticker, guard):
                task.cancel()
            outcome = await self._end(self.mistake or error)
        return outcome

    async def _follow(self) -> WsrecError | None:
        """Take frames and reconnect, until the end; return what ended it, if it is an error."""
        while True:
            closed = await self._until_closed()
            if closed is None:
                return self._recording.error if self._recording else None
            self._recorder.closed(self._now_ns(), code=closed.code, reason=closed.reason, cause=closed.cause)
            self._flush()
            _LOG.warning(
                "%s: %s (code %d)", self.shown_url, closed.cause, closed.code,
                extra={"feed": self.shown_url, "code": closed.code},
            )  # fmt: skip
            if not self.options.retry.is_wanted:
                return None if closed.is_clean else lost_feed(self.shown_url, closed)
            if (link := await self.reaching.again()) is None:
                return None
            self._link = link
            self._health.reconnects += 1

    async def _until_closed(self) -> Closed | None:
        """Return how the connection ended, or None when it is we who end the recording."""
        assert self._link is not None
        self._status = "open"
        closed = asyncio.create_task(self._link.wait_closed())
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait((closed, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if self._stop.is_set():
            closed.cancel()
            return None
        if self._stalled is None and (error := closed.exception()) is not None:
            self._mishaps.note("feed", error, f"the connection to {self.shown_url} is lost")
            return Closed(1006, "", f"an unexpected {type(error).__name__} in the connection")
        return self._stalled or closed.result()

    async def _connect(self) -> Link:
        self._stalled: Closed | None = None
        try:
            link = await connect_feed(self.options.feed, self, self.options.transport)
        except FeedError as exc:
            if self._recorder.is_open:  # it was, and the time for it was over before anybody could take note
                self._recorder.closed(self._now_ns(), code=1006, reason="", cause=exc.message)
            raise
        for payload in map(str.encode, self.options.send):
            link.send(payload, Opcode.TEXT)
            self._recorder.sent(payload, Opcode.TEXT, self._now_ns())
        return link

    async def _end(self, error: WsrecError | None) -> Outcome:
        """Close the connection, seal the session."""
        assert self._recording is not None
        assert self._outage is not None
        self._recorder.complete = True
        with self._mishaps.contain("feed"):
            if self._link is not None and self._status == "open":
                await self._link.close()
        self._status = "ended"
        with self._mishaps.contain("feed"):
            self._outage.finish()
            self._recorder.ended(self._now_ns())
        self._flush()
        self._health.gaps = self._recorder.gaps
        outcome = await seal_recording(self._recording, self._health, self.mistake or error)
        if isinstance(outcome.error, OwnMistake) and self.mistake is None:
            self._mishaps.note("writer", outcome.error, f"the recording of {self.shown_url} has ended")
            self.mistake = outcome.error
        return outcome

    async def _tick(self) -> None:
        """Look every 50 ms at how it stands."""
        due_ns = self._now_ns()
        while True:
            due_ns = max(due_ns + _TICK_NS, self._now_ns())
            await self._clock.sleep_until(due_ns)
            with self._mishaps.contain("feed", f"{self.shown_url} is recorded on"):
                self._look(due_ns)

    def _look(self, due_ns: int) -> None:
        """Flush what is old enough, look for a stall and for the end, measure the loop."""
        duration_ns, stall_ns = self.options.limits.duration_ns, round(self.options.stall_s * 1e9)
        now_ns = self._now_ns()
        self._health.longest_stall_ms = max(self._health.longest_stall_ms, round((now_ns - due_ns) / 1e6, 3))
        if self._recorder.is_due(now_ns + _TICK_NS):  # at the next tick it would be too late
            self._flush()
        if self._recording is not None:  # all that is older than a flush was handed over
            tell_time(self._recording, now_ns - self.options.limits.flush_ns - self._recorder.started_ns)
        silent_ns = now_ns - self._recorder.last_frame_ns
        # A reader that waits for the disk hears nothing either: that is no stall of the feed.
        if 0 < stall_ns <= silent_ns and self._status == "open" and self._link and self._paused_ns is None:
            self._stalled = Closed(1006, "", f"no frame for {self.options.stall_s:g} s")
            self._link.abort()
        if duration_ns is not None and now_ns - self._recorder.started_ns >= duration_ns:
            self._recorder.complete = True
            self._stop.set()

    async def _watch_space(self, path: Path) -> None:
        """Look at the free space, and end the recording before the disk is full."""
        done = "what was recorded is sealed" if self.options.black_box is None else "what the ring held is a snapshot"
        self._no_space = await until_low(path, self._space, self._clock, outcome=done)
        self.snapshot(Cause.DISK, "--min-free")  # the ring goes with the recording; nothing else heeds it
        self._stop.set()

    def _flush(self) -> None:
        """Hand what was collected to the writer; hold back reading when it cannot keep up."""
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
        if self._recording is not None and (box := black_box_of(self._recording)) is not None:
            while self._triggers:
                self._recording.run_soon(partial(box.trigger, self._triggers.popleft()))

    def _own_mistake(self, error: Exception) -> OwnMistake:
        """End the recording by a mistake of ours."""
        self._stop.set()
        self.mistake = self._mishaps.end_of_recording("feed", error, self.shown_url)
        return self.mistake

    def _hold_back(self) -> None:
        if self._outage is not None and self._outage.let_go():
            return
        if self._link is not None and self._paused_ns is None:
            self._link.pause()
            self._paused_ns = self._now_ns()

    def _let_others_run(self) -> None:
        """Read no more in this turn of the event loop.

        uvloop (0.23, as libuv) reads a socket up to 32 times in a row while there is more to read. Under a flood
        that is a second and more, in which signals, the ticker and other feeds would wait.
        """
        if self._link is not None and not self._is_yielding:
            self._is_yielding = True
            self._link.pause()
            self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        self._is_yielding = False
        if self._link is not None and self._paused_ns is None:
            self._link.resume()

    def _tell_drained(self) -> None:
        """Called on the writer thread."""
        self._loop.call_soon_threadsafe(self._on_drained)

    def _on_drained(self) -> None:
        """Read on: the writer has caught up, waits for the disk, or has failed."""
        assert self._recording is not None
        if self._outage is not None:
            self._outage.look()
        if self._paused_ns is not None:
            self._recorder.last_frame_ns = now_ns = self._now_ns()
            self._health.paused_ms += (now_ns - self._paused_ns) / 1e6
            self._paused_ns = None
            if self._link is not None:
                self._link.resume()
        if self._recording.error is not None:
            self._stop.set()

    def _tell_status(self, status: str) -> None:
        self._status = status

    def _wall_offset_ns(self) -> int:
        return self._clock.wall_ns() - self._clock.now_ns()

    @property
    def shown_url(self) -> str:
        """URL of the feed, without credentials."""
        return self.options.feed.shown_url

    @property
    def vitals(self) -> RecordingVitals:
        """What a metric is made of, beside its state."""
        return RecordingVitals(self.shown_url, self._recorder, self._recording, self._health, self._space)

    @property
    def state(self) -> FeedState:
        """How it stands now."""
        return self.vitals.state(self._status, self._now_ns())
