"""Priming: what a client is told before the stream, so that it knows at once how things stand.

A client that joins late, or is carried over a seek, first gets the last events before the playhead, in order. They are
looked for on a thread. Another one, of low priority, goes through each session once, from the beginning of the replay
on, after which a place is found fast (`wsrecorder.analysis.last_events`). While somebody waits for a place it stands
still after the chunk it is at, so that a request waits for that at most, or as far as its place needs.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wsrecorder.core.still_open import STATE_TYPES, still_open
from wsrecorder.errors import WsrecError
from wsrecorder.jobs.play_batch import PlayBatch
from wsrecorder.jobs.programme import Part, Programme
from wsrecorder.jobs.replay_options import Prime, ReplayOptions
from wsrecorder.store.picking import pick

if TYPE_CHECKING:
    from wsrecorder.analysis.last_events import LastEvent, LastEvents

__all__ = ["Place", "Primer", "place_after", "place_before", "primer_for"]

_COLUMNS: Final = ("seq", "elapsed_ns", "received_ns", "type", "text", "binary", "detail")
_NICENESS: Final = 10
_MOST_BYTES: Final = 8 << 20  # half of what a client may lag by default
_Found = dict[tuple[str | None, str], tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two events of a programme.

    Attributes:
        elapsed_ns: Events received before this came before it, session time, ns.
        source: Of those received at that very moment, all of the sessions before this one came before it, and none
            of those after it.
        seq: Of this session itself, those before this sequence number did.
    """

    elapsed_ns: int
    source: int = 0
    seq: int | None = None


class Primer:
    """Finds what clients are to be told; `close` it at the end.

    Args:
        programme: What is played.
        prime: What clients are told.
    """

    def __init__(self, programme: Programme, prime: Prime) -> None:
        self._programme = programme
        self._prime = prime
        self._parts = programme.parts()
        self._indexes: list[LastEvents] = []
        self._is_closed = False
        self._asking = 0
        self._nobody_asks = threading.Event()
        self._nobody_asks.set()
        self._opening = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="wsrec-primer")
        self._background = ThreadPoolExecutor(1, thread_name_prefix="wsrec-primer-index", initializer=_be_nice)

    def start(self) -> None:
        """Begin to go through the sessions."""
        self._background.submit(self._go_through)

    async def find(self, place: Place, types: frozenset[str] | None) -> list[PlayBatch]:
        """Return what a client is to be told at a place, in order; nothing once it is closed.

        Args:
            place: Where it joins.
            types: Only messages of these types; None is all.

        Raises:
            SessionError: A session cannot be read up to there.
            UsageError: The condition of what is played fails on an event.
        """
        if self._is_closed:
            return []
        self._asking += 1
        self._nobody_asks.clear()
        try:
            return await asyncio.wrap_future(self._thread.submit(self._find, place, types))
        finally:
            self._asking -= 1
            if not self._asking:
                self._nobody_asks.set()

    def close(self) -> None:
        """End the threads; nobody waits for that."""
        self._is_closed = True
        for thread in (self._thread, self._background):
            thread.shutdown(wait=False, cancel_futures=True)

    # On the threads.

    def _open(self) -> list[LastEvents]:
        with self._opening:
            if not self._indexes:
                # DuckDB: a tenth of a second that a replay's start should not pay.
                from wsrecorder.analysis.last_events import LastEvents

                where = self._programme.where
                self._indexes = [LastEvents(part.store, exclude=part.exclude, where=where) for part in self._parts]
            return self._indexes

    def _go_through(self) -> None:
        # What cannot be read is said by whoever plays or asks for that place.
        with suppress(WsrecError):
            for index, part in zip(self._open(), self._parts, strict=True):
                while not self._is_closed and index.advance(part.events):
                    self._nobody_asks.wait()

    def _find(self, place: Place, types: frozenset[str] | None) -> list[PlayBatch]:
        wanted = types
        if self._prime is Prime.STATE:
            wanted = STATE_TYPES if types is None else STATE_TYPES & types
        last: _Found = {}
        for number, (index, part) in enumerate(zip(self._open(), self._parts, strict=True)):
            for event in _before(index, part, number, place):
                if wanted is None or event.type in wanted:
                    found = event.elapsed_ns + part.shift_ns, number, event.seq
                    key = event.type, event.key
                    last[key] = max(last.get(key, found), found)
        chosen = sorted(last.values())
        if self._prime is Prime.STATE and chosen:
            chosen = self._still_open(chosen)
        return self._newest(self._frames(chosen))

    def _still_open(self, chosen: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
        from wsrecorder.analysis.messages import COLUMNS_READ, messages_of

        places = {(number, seq): elapsed_ns for elapsed_ns, number, seq in chosen}
        told = []
        for number, part in enumerate(self._parts):
            seqs = sorted(seq for _, source, seq in chosen if source == number)
            for rows in pick(part.store, seqs, COLUMNS_READ):
                told += [(places[number, event.seq], number, event) for event in messages_of(rows)]
        told.sort(key=lambda each: (each[0], each[1], each[2].seq))
        kept = {id(event) for event in still_open(event for *_, event in told)}
        return [(elapsed_ns, number, event.seq) for elapsed_ns, number, event in told if id(event) in kept]

    def _frames(self, chosen: Iterable[tuple[int, int, int]]) -> list[PlayBatch]:
        seqs: list[list[int]] = [[] for _ in self._parts]
        for _, number, seq in chosen:
            seqs[number].append(seq)
        rows = (pick(part.store, sorted(each), _COLUMNS) for part, each in zip(self._parts, seqs, strict=True))
        return self._programme.joined(list(rows))

    def _newest(self, batches: list[PlayBatch]) -> list[PlayBatch]:
        """Return as many of the last batches as a client can be sent at once."""
        size_bytes = 0
        for index in range(len(batches) - 1, -1, -1):
            size_bytes += batches[index].size_bytes
            if size_bytes > _MOST_BYTES:
                return batches[index + 1 :]
        return batches


def place_before(batch: PlayBatch, row: int) -> Place:
    """Return the place right before a row."""
    return Place(batch.elapsed_ns[row], batch.source(row), batch.seqs[row])


def place_after(batch: PlayBatch, row: int) -> Place:
    """Return the place right after a row."""
    return Place(batch.elapsed_ns[row], batch.source(row), batch.seqs[row] + 1)


def primer_for(programme: Programme, options: ReplayOptions) -> Primer | None:
    """Return what finds what clients are to be told, None where they are told nothing."""
    return None if options.verbatim or options.prime is Prime.NONE else Primer(programme, options.prime)


def _before(index: LastEvents, part: Part, number: int, place: Place) -> list[LastEvent]:
    if place.seq is not None and number == place.source:
        return index.before(place.seq)
    until_ns = place.elapsed_ns - part.shift_ns
    if place.seq is not None and number < place.source:
        until_ns += 1
    return index.before_time(until_ns) if until_ns > 0 else []


def _be_nice() -> None:
    # On Linux a thread has a priority of its own; elsewhere it would be that of the whole program.
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
