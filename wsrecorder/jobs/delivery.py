"""What stands between a playback and the endpoint: frames pass through, are altered, or wait.

Theory of operation. With no fault active, and nothing left of one, `send` hands rows on as they
are. Otherwise frames go through the injector into a queue, first in, first out. What is due goes
out at once; the rest is released by a task that lives while the queue holds something. One
lock stands around all sending, so frames go out in the order of the queue.

What is held back is bounded by what a client may lag: beyond that, `send` waits, and the playback
is put off as by a slow client. What is in the queue is on its way: pausing or seeking does not call
it back, and `drain` at the end waits for it.

Recorded outages lie between rows. One strikes when the playhead reaches it while the playback waits
for the next row, or at the latest before the first row after it is sent.
"""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from wsrecorder.clock import Clock
from wsrecorder.core.fault import FaultKind
from wsrecorder.core.injector import Due, Frame, Injector
from wsrecorder.jobs.faults import Faults
from wsrecorder.jobs.outages import Outage
from wsrecorder.jobs.play_batch import PlayBatch
from wsrecorder.net.client import Client
from wsrecorder.net.endpoint import Endpoint
from wsrecorder.net.framing import frame_each

__all__ = ["Delivery"]

_PIECE_BYTES: Final = 256 << 10


class Delivery:
    """Delivers what a playback sends; see the top of the module.

    Args:
        endpoint: Where frames go.
        clock: Where the time comes from.
        faults: The faults of the replay; None is none ever.
        to: The clients it delivers to; None delivers to all.
        next_ns: Tells when the next row was received, session time, ns; asked only while the playback waits for it.
        speed: Tells session seconds per wall second.
        max_gap_ns: The longest silence that is played, ns; None plays all.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Clock,
        faults: Faults | None,
        *,
        to: Sequence[Client] | None,
        next_ns: Callable[[], int],
        speed: Callable[[], float],
        max_gap_ns: int | None,
    ) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._faults = faults
        self._to = to
        self._next_ns = next_ns
        self._speed = speed
        self._max_gap_ns = max_gap_ns
        self._injector = Injector((), 0)
        self._injected: Counter[FaultKind] = Counter()  # by injectors that were replaced
        self._queue: deque[Due] = deque()
        self._queued_bytes = 0
        self._has_room = asyncio.Event()
        self._sending = asyncio.Lock()
        self._releaser: asyncio.Task[None] | None = None
        self._is_closed = False
        self._last_ns = 0  # of the last row sent, or where the pass began
        self._struck_ns = -1  # of the last outage of this pass
        self._next_outage = 0
        self._outages: Sequence[Outage] = ()
        self._is_clear = True
        if faults is not None:
            faults.attach(self)
            self.refit()

    # What the playback asks.

    async def send(self, batch: PlayBatch, start: int, stop: int) -> int:
        """Send rows of a batch, or what becomes of them.

        Returns:
            For how long slow clients were waited for, or room in the queue, ns.
        """
        if self._is_clear:
            frames, first, after = batch.frames(start, stop, self._clock.wall_ns())
            return await self._endpoint.broadcast(frames, first, after, self._to)
        waited_ns = 0
        while (outage := self._outage) is not None:
            cut = bisect_right(batch.elapsed_ns, outage.elapsed_ns, start, stop)
            if cut == stop:
                break
            waited_ns += await self._send(batch, start, cut)
            self._strike(outage, batch.elapsed_ns[cut])
            start = cut
        return waited_ns + await self._send(batch, start, stop)

    async def wait(self, until_ns: int, wake: asyncio.Event) -> None:
        """Wait for the next row, which is due at monotonic ``until_ns``, or for a control."""
        outage = self._outage
        if outage is not None:
            next_ns = self._next_ns()
            due_ns = until_ns - math.floor((next_ns - outage.elapsed_ns) * self._rate(next_ns))
            if due_ns < until_ns:
                await self._clock.sleep_until(due_ns, wake=wake)
                if outage is self._outage and self._clock.now_ns() >= due_ns:
                    self._strike(outage, next_ns)
                return
        await self._clock.sleep_until(until_ns, wake=wake)

    def begin_pass(self, from_ns: int) -> None:
        """A pass begins: what waits for a next frame has none, and outages are those from there on."""
        self._flush()
        self._last_ns, self._struck_ns = from_ns, -1
        self._next_outage = bisect_left(self._outages, from_ns, key=_elapsed_ns)

    async def drain(self, wake: asyncio.Event) -> None:
        """Return when nothing is on its way any more, or there was a control."""
        self._flush()
        while self._releaser is not None and not wake.is_set():
            woken = asyncio.ensure_future(wake.wait())
            try:
                await asyncio.wait((self._releaser, woken), return_when=asyncio.FIRST_COMPLETED)
            finally:
                woken.cancel()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is on its way."""
        return self._releaser is None and not self._injector.is_holding

    def close(self) -> None:
        """Give up what is on its way."""
        self._is_closed = True
        self._has_room.set()
        if self._releaser is not None:
            self._releaser.cancel()
        if self._faults is not None:
            self._faults.detach(self)

    # What the faults ask.

    @property
    def injected(self) -> Counter[FaultKind]:
        """What was injected into its frames."""
        return self._injected + self._injector.counts

    def refit(self) -> None:
        """Other faults are active now; what is on its way is left alone."""
        assert self._faults is not None
        self._flush()
        self._injected += self._injector.counts
        self._injector = self._faults.injector()
        if self._outages is not self._faults.outages:
            self._outages = self._faults.outages
            self._next_outage = bisect_left(self._outages, max(self._last_ns, self._struck_ns + 1), key=_elapsed_ns)
        self._note_clear()

    # Frames.

    async def _send(self, batch: PlayBatch, start: int, stop: int) -> int:
        if start == stop:
            return 0
        assert self._faults is not None
        self._last_ns = batch.elapsed_ns[stop - 1]
        frames, first, after = batch.frames(start, stop, self._clock.wall_ns())
        if self._injector.is_idle and self._releaser is None and self._faults.thawed.is_set():
            async with self._sending:
                return await self._endpoint.broadcast(frames, first, after, self._to)
        rows = zip(
            batch.seqs[start:stop], batch.types(start, stop), map(frames.payload, range(first, after)), strict=True
        )
        found = (Frame(seq, type, *payload) for seq, type, payload in rows if payload is not None)
        self._put(self._injector.take(found, self._clock.now_ns()))
        waited_ns = await self._release_due()
        self._release_later()
        return waited_ns + await self._wait_for_room()

    def _flush(self) -> None:
        self._put(self._injector.flush(self._clock.now_ns()))
        self._release_later()

    def _put(self, dues: Iterable[Due]) -> None:
        for due in dues:
            # Of an injector before this one some may be due later than these; these queue behind them.
            self._queue.append(due)
            self._queued_bytes += len(due.payload)

    def _release_later(self) -> None:
        if self._queue and self._releaser is None and not self._is_closed and self._faults is not None:
            self._releaser = self._faults.start(self._release())
            self._is_clear = False

    async def _release(self) -> None:
        assert self._faults is not None
        while self._queue:
            await self._faults.thawed.wait()
            if self._queue:  # else the playback has sent it along with rows of its own
                await self._clock.sleep_until(self._queue[0].at_ns)
            await self._release_due()
        self._releaser = None
        self._note_clear()

    async def _release_due(self) -> int:
        """Send what is due; return for how long slow clients were waited for, ns."""
        waited_ns = 0
        async with self._sending:
            while piece := list(self._take_due()):
                frames = frame_each([due.payload for due in piece], [due.is_text for due in piece])
                waited_ns += await self._endpoint.broadcast(frames, 0, len(frames), self._to)
                self._has_room.set()
        return waited_ns

    def _take_due(self) -> Iterator[Due]:
        assert self._faults is not None
        now_ns, left_bytes = self._clock.now_ns(), _PIECE_BYTES
        while self._queue and self._queue[0].at_ns <= now_ns and left_bytes > 0 and self._faults.thawed.is_set():
            due = self._queue.popleft()
            self._queued_bytes -= len(due.payload)
            left_bytes -= len(due.payload)
            yield due

    async def _wait_for_room(self) -> int:
        since_ns = self._clock.now_ns()
        while self._queued_bytes > self._endpoint.options.client_buffer_bytes and not self._is_closed:
            self._has_room.clear()
            await self._has_room.wait()
        return self._clock.now_ns() - since_ns

    def _note_clear(self) -> None:
        assert self._faults is not None
        self._is_clear = self._faults.is_clear and self._releaser is None

    # Outages.

    @property
    def _outage(self) -> Outage | None:
        """The next one of this pass."""
        return self._outages[self._next_outage] if self._next_outage < len(self._outages) else None

    def _rate(self, next_ns: int) -> float:
        """Return how much wall time a session time takes in the silence before a row, as it may be cut."""
        silence_ns = next_ns - self._last_ns
        played_ns = silence_ns if self._max_gap_ns is None else min(silence_ns, self._max_gap_ns)
        return (played_ns / silence_ns if silence_ns else 1.0) / self._speed()

    def _strike(self, outage: Outage, next_ns: int) -> None:
        assert self._faults is not None
        length_ns = math.ceil(outage.length_ns * self._rate(next_ns))
        self._next_outage += 1
        self._struck_ns = outage.elapsed_ns
        self._faults.strike(outage, length_ns, self._to)


def _elapsed_ns(outage: Outage) -> int:
    return outage.elapsed_ns
