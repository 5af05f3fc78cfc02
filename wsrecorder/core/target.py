"""Where a seek leads: targets as people name them, and places, which are exact.

Several events can share one ``elapsed_ns``, so a time alone does not say between which two events of a stream
playback stands. A `Place` does, also where sessions are merged and sequence numbers are not unique.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["AtMatch", "AtNote", "AtSeq", "AtTime", "ByDelta", "Place", "Target"]


@dataclass(frozen=True, slots=True)
class AtTime:
    """A moment of the recording.

    Attributes:
        session_ns: Session time, ns since the session began.
    """

    session_ns: int


@dataclass(frozen=True, slots=True)
class ByDelta:
    """So far on from the playhead, in recorded time.

    Attributes:
        delta_ns: How far, ns; negative is back.
    """

    delta_ns: int


@dataclass(frozen=True, slots=True)
class AtSeq:
    """An event by its number, or the first one after it that is played.

    Attributes:
        seq: Its sequence number.
    """

    seq: int


@dataclass(frozen=True, slots=True)
class AtMatch:
    """The next event after the playhead for which an SQL expression is true, of those that are played.

    Attributes:
        where: The expression, as for ``--where``.
    """

    where: str


@dataclass(frozen=True, slots=True)
class AtNote:
    """A note that somebody made on the session.

    Attributes:
        text: The first note that contains it, upper and lower case alike; ``next`` is the next one after the playhead.
    """

    text: str


Target: TypeAlias = AtTime | ByDelta | AtSeq | AtMatch | AtNote


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two events of a stream.

    Attributes:
        session_ns: Session time, ns.
        skip: How many events of just that time come before it; all others of that time come after.
    """

    session_ns: int
    skip: int = 0

    def row_in(self, times_ns: Sequence[int]) -> int:
        """Return before which row of events it lies.

        Args:
            times_ns: Times of consecutive events that never fall, ns; all of the place's own time are among them.
        """
        return bisect_left(times_ns, self.session_ns) + self.skip

    def before(self, times_ns: Sequence[int], row: int) -> Place:
        """Return the place right before a row that follows on this place.

        Args:
            times_ns: Times of consecutive events that never fall, ns, the first of them right after this place.
            row: Which.
        """
        time_ns = times_ns[row]
        first = bisect_left(times_ns, time_ns, 0, row)
        known = self.skip if first == 0 and time_ns == self.session_ns else 0
        return Place(time_ns, known + row - first)

    def behind(self, times_ns: Sequence[int], row: int) -> Place:
        """Return the place right behind a row that follows on this place; the arguments are those of `before`."""
        place = self.before(times_ns, row)
        return Place(place.session_ns, place.skip + 1)

    def back(self, times_ns: Sequence[int], events: int) -> Place | None:
        """Return the place so many events before this one.

        Args:
            times_ns: Times of all events from some moment to this place's own time, ns; they never fall.
            events: How many, at least 1.

        Returns:
            The place; None where less than so many of these events come before.
        """
        row = self.row_in(times_ns) - events
        return Place(times_ns[0]).before(times_ns, row) if row >= 0 else None
