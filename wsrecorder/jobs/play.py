"""Events of one or several sessions for a program in this process: paced, or in virtual time.

Sessions are merged by time; at the same time the one that began first goes first, whatever the order in which they
were named, so that every reader gets the same stream. One batch of each is held, and one is read ahead on a thread.

Two kinds of clock drive it. The machine's (any `Clock`) is waited for: an event is given out when it is due, at a
speed. A `VirtualClock` is moved: before an event is given out it stands at the event's own time, monotonic and UTC,
and whoever slept on it until an earlier time was woken before, at that time. So a strategy and its timers see one
order of things, the same in every run, as fast as the machine goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, nullcontext
from dataclasses import dataclass
from typing import Any

from wsrecorder.clock import Clock, VirtualClock
from wsrecorder.core.event import Event, Kind
from wsrecorder.core.moment import Moment, resolve_window
from wsrecorder.core.playhead import MAX_SPEED, Playhead, check_speed
from wsrecorder.errors import UsageError
from wsrecorder.store.manifest import Manifest
from wsrecorder.store.merge import Source, merge_batches
from wsrecorder.store.schema import COLUMNS, RecordBatch, iter_events
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import Store

__all__ = ["Play", "PlayOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayOptions:
    """What to play.

    Attributes:
        speed: Session seconds per second of the clock, above 0, or infinity; a virtual clock does without.
        start: Where to begin; None is the beginning of the earliest session.
        end: Where to end, not included; None is the end.
        types: Only messages of these types; None is all events, marks too.
        exclude: No messages of these types.
        kinds: Only events of these kinds; None is all.
        where: Only events for which this SQL expression is true; None is all.
    """

    speed: float = 1.0
    start: Moment | None = None
    end: Moment | None = None
    types: frozenset[str] | None = None
    exclude: frozenset[str] = frozenset()
    kinds: frozenset[Kind] | None = None
    where: str | None = None


class Play:
    """Several sessions as one stream of events: an asynchronous iterable, each pass from the beginning.

    Of each event ``elapsed_ns`` counts from the beginning of the earliest session; all else is as it was recorded.

    Attributes:
        clock: The clock that strategies read.

    Args:
        stores: The sessions; the same one twice counts once.
        options: What to play.
        clock: The time.

    Raises:
        UsageError: What was asked for cannot be; the window lies outside of the sessions.
        SessionError: A session cannot be read.
    """

    def __init__(self, stores: Sequence[Store], options: PlayOptions, clock: Clock) -> None:
        if not stores:
            raise UsageError("no session was named", hint='name one or more, such as "latest"')
        self.clock = clock
        self._options = options
        parts = [(store, store.manifest()) for store in {store.path.resolve(): store for store in stores}.values()]
        # An order of their own: that in which they were named must not show.
        self._parts = sorted(parts, key=lambda part: (part[1].identity.started_ns, part[1].identity.id))
        manifests = [manifest for _, manifest in self._parts]
        self._began_ns = manifests[0].identity.started_ns
        self._start_ns, self._stop_ns = resolve_window(
            options.start, options.end, start_ns=self._began_ns, end_ns=max(map(_end_ns, manifests))
        )
        self._where = None
        if options.where is not None:
            from wsrecorder.analysis.where import Where  # DuckDB: a tenth of a second that only its users should pay

            self._where = Where(options.where)
        self._speed = check_speed(options.speed)
        self._is_paused = False
        self._playhead = Playhead(self._start_ns, clock.now_ns(), 0.0)
        self._given_ns = self._start_ns
        self._changed = asyncio.Event()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._in_virtual_time(self.clock) if isinstance(self.clock, VirtualClock) else self._paced()

    @property
    def speed(self) -> float:
        """Session seconds per second of the clock, when it is not paused."""
        return self._speed

    # Controls: each takes effect at once, whatever is waited for.

    def pause(self) -> None:
        """Give out nothing more until `resume`."""
        self._is_paused = True
        self._repin()

    def resume(self) -> None:
        """Go on from where it was paused."""
        self._is_paused = False
        self._repin()

    def set_speed(self, speed: float) -> None:
        """Go on at another speed; the position does not jump.

        Raises:
            UsageError: It is not above 0.
        """
        self._speed = check_speed(speed)
        self._repin()

    def _repin(self) -> None:
        now_ns, playhead = self.clock.now_ns(), self._playhead
        if playhead.speed == MAX_SPEED:  # time did not carry it on, giving out did
            playhead = playhead.seek(self._given_ns, now_ns)
        self._playhead = playhead.at_speed(0.0 if self._is_paused else self._speed, now_ns)
        self._changed.set()

    async def _paced(self) -> AsyncGenerator[Event, None]:
        clock = self.clock
        self._playhead = Playhead(self._start_ns, clock.now_ns(), 0.0 if self._is_paused else self._speed)
        async with aclosing(self._read_ahead()) as batches:
            async for batch in batches:
                for event in iter_events(batch):
                    elapsed_ns = event.elapsed_ns
                    while (due_ns := self._due_ns(elapsed_ns)) is None or due_ns > clock.now_ns():
                        await self._wait(due_ns)
                    self._given_ns = elapsed_ns
                    yield event

    def _due_ns(self, elapsed_ns: int) -> int | None:
        """Return when an event is due by the clock; None while it is paused."""
        playhead = self._playhead
        if not playhead.is_timed:
            return None if self._is_paused else 0
        return playhead.wall_at(elapsed_ns)

    async def _wait(self, until_ns: int | None) -> None:
        self._changed.clear()
        if until_ns is None:
            await self._changed.wait()
        else:
            await self.clock.sleep_until(until_ns, self._changed)

    async def _in_virtual_time(self, clock: VirtualClock) -> AsyncGenerator[Event, None]:
        # A clock that was used before never goes back: the stream then begins at the time that it shows.
        ahead_ns = max(0, clock.now_ns() - self._start_ns)
        async with aclosing(self._read_ahead()) as batches:
            async for batch in batches:
                for event in iter_events(batch):
                    while self._is_paused:
                        await self._wait(None)
                    now_ns = event.elapsed_ns + ahead_ns
                    if now_ns >= clock.now_ns():  # else somebody slept past it: it comes late
                        if clock.sleepers:
                            await clock.reach(now_ns, event.received_ns)
                        else:
                            clock.move_to(now_ns, event.received_ns)
                    yield event

    async def _read_ahead(self) -> AsyncGenerator[RecordBatch, None]:
        held = self.clock.held if isinstance(self.clock, VirtualClock) else nullcontext
        thread = ThreadPoolExecutor(1, thread_name_prefix="wsrec-reader")
        try:
            batches = self._batches()
            ahead = thread.submit(next, batches, None)
            while True:
                with held():
                    batch = await asyncio.wrap_future(ahead)
                if batch is None:
                    return
                ahead = thread.submit(next, batches, None)
                yield batch
        finally:
            thread.shutdown(wait=False, cancel_futures=True)

    def _batches(self) -> Iterator[RecordBatch]:
        sources = [
            Source(self._rows(store, manifest, shift_ns), shift_ns)
            for store, manifest in self._parts
            for shift_ns in (manifest.identity.started_ns - self._began_ns,)
        ]
        return merge_batches(sources)

    def _rows(self, store: Store, manifest: Manifest, shift_ns: int) -> Iterator[Any]:
        options, start_ns = self._options, self._start_ns - shift_ns
        selection = Selection(
            start_ns=start_ns if start_ns > 0 else None,
            end_ns=None if self._stop_ns is None else self._stop_ns - shift_ns,
            types=options.types,
            exclude=options.exclude,
            kinds=options.kinds,
        )
        rows = store.batches(selection)
        return rows if self._where is None else self._where.apply(rows, COLUMNS, manifest.identity.id)


def _end_ns(manifest: Manifest) -> int:
    return manifest.identity.started_ns + manifest.last_elapsed_ns
