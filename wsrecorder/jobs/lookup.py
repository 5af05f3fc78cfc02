"""Finding the place that a seek asks for: an event by its number, the next one that matches, so many back.

What is looked through is the stream as it is played, filtered and merged, without its payloads where nothing asks for
them; so places hold whatever is left out. It runs on a thread and may take as long as reading the session does.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from wsrecorder.analysis.condition import condition
from wsrecorder.core.moment import readable_duration
from wsrecorder.core.target import AtMatch, AtNote, AtSeq, AtTime, ByDelta, Place, Target
from wsrecorder.errors import UsageError
from wsrecorder.jobs.programme import Programme
from wsrecorder.store.columns import int64_view
from wsrecorder.store.notes import NoteBook

if TYPE_CHECKING:
    from wsrecorder.analysis.where import Where

__all__ = ["Lookup"]

_FIRST_WINDOW_NS: Final = 1_000_000_000
_WIDER: Final = 8


class Lookup:
    """Finds places in what a playback plays.

    Args:
        programme: What is played.
        types: Only messages of these types; None is all.
        start_ns: Where the window begins, session time, ns.
        stop_ns: Where it ends, not included; None is as far as the sessions go.
        notes: The session's notes; None where there are several sessions.
    """

    def __init__(
        self,
        programme: Programme,
        types: frozenset[str] | None,
        start_ns: int,
        stop_ns: int | None,
        notes: NoteBook | None,
    ) -> None:
        self._programme = programme
        self._types = types
        self._start_ns = start_ns
        self._stop_ns = stop_ns
        self._notes = notes
        self._is_closed = False

    def close(self) -> None:
        """End what is under way: it finds nothing."""
        self._is_closed = True

    async def find(self, target: Target, position_ns: int, place: Place) -> Place:
        """Return the place that a target names, at the earliest the start.

        Args:
            target: What was asked for.
            position_ns: Where the playhead stands, session time, ns.
            place: Between which events it stands.

        Raises:
            UsageError: There is no such place.
            SessionError: The session cannot be read up to there.
        """
        match target:
            case AtTime(session_ns):
                place = Place(await self._within(session_ns, ""))
            case ByDelta(delta_ns):
                way = f", {readable_duration(delta_ns)} on from {readable_duration(position_ns)},"
                place = Place(await self._within(position_ns + delta_ns, way))
            case AtSeq(seq):
                place = await asyncio.to_thread(self._at_seq, seq)
            case AtMatch(where):
                place = await asyncio.to_thread(self._next_match, where, place)
            case AtNote(text):
                place = Place(await self._within(await asyncio.to_thread(self._note, text, position_ns), ""))
        return place if place.session_ns >= self._start_ns else Place(self._start_ns)

    async def find_back(self, events: int, place: Place) -> Place:
        """Return the place so many events before another; the start where there are less.

        Raises:
            SessionError: The session cannot be read there.
        """
        return await asyncio.to_thread(self._back, events, place)

    async def _within(self, session_ns: int, way: str) -> int:
        """Return a session time that is not beyond the end; nothing would ever be played from there."""
        end_ns = self._programme.end_ns
        if session_ns > end_ns:  # one that is still being recorded has meanwhile gone on
            end_ns = await asyncio.to_thread(self._programme.ends_ns)
        if self._stop_ns is not None:
            end_ns = min(end_ns, self._stop_ns - 1)
        if session_ns > end_ns:
            raise UsageError(
                f"{readable_duration(session_ns, is_up=True)}{way} is beyond the end at {readable_duration(end_ns)}",
                hint=f"seek to between {readable_duration(self._start_ns)} and {readable_duration(end_ns)}",
            )
        return session_ns

    def _note(self, text: str, position_ns: int) -> int:
        if self._notes is None:
            raise UsageError(
                "notes are made on one session, and several are replayed together",
                hint="seek to a time, or replay one session alone",
            )
        notes = self._notes.all()
        if text == "next":
            found = (note for note in notes if note.elapsed_ns > position_ns)
        else:
            found = (note for note in notes if text.casefold() in note.text.casefold())
        note = next(found, None)
        if note is None:
            which = f"after {readable_duration(position_ns)}" if text == "next" else f'that contains "{text}"'
            raise UsageError(
                f"there is no note {which}; the session has {len(notes)} in all",
                hint='"wsrec note SESSION" lists them, with a text behind it one is made',
            )
        return note.elapsed_ns

    def _at_seq(self, seq: int) -> Place:
        """Return the place before an event, or before the first one after it that is played."""
        events = self._programme.events()
        if events is None:
            raise UsageError(
                f"event {seq} may be of any of the sessions: each has sequence numbers of its own",
                hint="seek to a time, or replay one session alone",
            )
        if not 0 <= seq < events:
            raise UsageError(
                f"there is no event {seq}: the session holds {events:,} events, 0 to {events - 1}",
                hint='"wsrec cat" shows events with their numbers',
            )
        for rows in self._rows(0, from_seq=seq):
            time_ns = int64_view(rows.column("elapsed_ns"))[0]
            found = int64_view(rows.column("seq"))[0]
            return Place(time_ns, self._played_before(time_ns, found))
        raise UsageError(
            f"no event from {seq} on is played: the session's last event is {events - 1}",
            hint="seek to an earlier one; --types, --where and --to leave events out, and so do heartbeats",
        )

    def _played_before(self, time_ns: int, seq: int) -> int:
        """Return how many events of just that time have a smaller number and are played."""
        count = 0
        for rows in self._rows(time_ns, time_ns + 1):
            count += sum(found < seq for found in int64_view(rows.column("seq")))
        return count

    def _next_match(self, where: str, after: Place) -> Place:
        """Return the place before the first event after a place for which an expression is true."""
        with closing(condition(where)) as mark:
            return self._next_marked(mark, where, after)

    def _next_marked(self, mark: Where, where: str, after: Place) -> Place:
        place, skip = after, after.skip
        looked_through = 0
        for rows in self._rows(after.session_ns, mark=mark):
            times_ns = int64_view(rows.column("elapsed_ns"))
            first = min(skip, len(times_ns))
            skip -= first
            rows, times_ns = rows.slice(first), times_ns[first:]
            if not len(times_ns):
                continue
            row = rows.column("mark").index(True).as_py()
            if row >= 0:
                return place.before(times_ns, row)
            place = place.behind(times_ns, len(times_ns) - 1)
            looked_through += len(times_ns)
        raise UsageError(
            f"none of the {looked_through:,} events that are still to be played is one for which this is true: {where}",
            hint="go back first, or ask for something else; only events that are played are looked through",
        )

    def _back(self, events: int, before: Place) -> Place:
        width_ns = _FIRST_WINDOW_NS
        while True:
            from_ns = max(self._start_ns, before.session_ns - width_ns)
            times_ns = array("q")
            for rows in self._rows(from_ns, before.session_ns + 1):
                times_ns.extend(int64_view(rows.column("elapsed_ns")))
            place = before.back(times_ns, events)
            if place is not None:
                return place
            if from_ns == self._start_ns:
                return Place(self._start_ns)
            width_ns *= _WIDER

    def _rows(
        self, from_ns: int, stop_ns: int | None = None, *, from_seq: int = 0, mark: Where | None = None
    ) -> Iterator[Any]:
        stops = [at_ns for at_ns in (stop_ns, self._stop_ns) if at_ns is not None]
        until_ns = min(stops, default=None)
        for rows in self._programme.rows(from_ns, until_ns, self._types, from_seq=from_seq, mark=mark):
            if self._is_closed:
                return
            yield rows
