r"""Two recordings of the same feed made one: each fills the gaps of the other, and what both saw is there once.

Theory of operation. While a recorder is connected it sees every message of the feed, in order. So a recording is a row
of *stretches*, each without holes, and between two of them the recorder was *away*. Where both were there, the same
messages stand in both; nothing has to be searched then, only compared. The work is at the seams::

    both there --one leaves--> the other alone --it is back: where?--> both there        one: ABCD.....JKLM
         \\----both leave----> nobody (a gap) --one is back--> the other alone --> …      two: ..CDEFGHIJ...

*Where* is found by content, by order and by time, in this order of trust:

1. A message of the one who is back is looked for among those of the other, no further than `Tolerance.apart_ns` from
   when it came. What follows on both sides must be the same too. A few messages that occur but once prove the place.
2. Messages repeat (heartbeats without a time stamp, prices that stand still), so several places may fit. The one
   nearest in time is taken, if it is no further than two sightings of one message can be (`Tolerance.jitter_ns`).
3. If no place fits and the other leaves soon after, the two did not see anything together: all that the other saw comes
   before. Clocks are not asked there, so that order does not hang on milliseconds.

Messages that are a connection's *own* (heartbeats of a timer of its own, what was sent) need not be on both sides. They
are not searched for. While both are there, those of the first are kept and those of the second left out.

What is on one side only although both were there is kept, placed by time, and counted as doubtful: of one feed that
does not happen. Times of the second recording follow those of the first slowly, as clocks drift.

At most `MOST_HELD` (`core/stretches.py`) messages of each are held at a time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from wsrecorder.core.stretches import BEGINNING_NS, Away, Left, Sighting, Stretches

__all__ = ["Filled", "Tolerance", "fill_gaps"]

_LOOK: Final = 32  # messages of one who is back that are looked for
_RUN: Final = 24  # messages that must follow alike
_ENOUGH: Final = 4  # messages that occur once prove a place, whatever the clocks say
_RESYNC: Final = 256
_DRIFT_SHARE: Final = 64
_DRIFT_NS: Final = 100_000  # 100 ppm at one message a second


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far clocks and networks are trusted.

    Attributes:
        jitter_ns: How far apart two sightings of one message usually are at most, ns.
        apart_ns: How far apart they can be at all, ns.
    """

    jitter_ns: int = 100_000_000
    apart_ns: int = 2_000_000_000


@dataclass(slots=True)
class Filled:
    """What came of it.

    Attributes:
        both: Messages that were found in both.
        left_out: Own messages of the second that were left out because the first was there.
        doubtful: Messages whose place, or whether they were seen twice, is not certain.
    """

    both: int = 0
    left_out: int = 0
    doubtful: int = 0


def fill_gaps(
    first: Iterable[Sighting | Left], second: Iterable[Sighting | Left], tolerance: Tolerance, filled: Filled
) -> Iterator[Sighting | Left]:
    """Yield the messages of two recordings of one feed, in order, each once; a recording itself, to be filled again.

    Sightings are changed on the way. Times may go back a little from one to the next.

    Args:
        first: One recording, ended by its `Left`.
        second: Another, likewise.
        tolerance: How far the clocks are trusted.
        filled: Counts on.
    """
    return _Filling(first, second, tolerance, filled).run()


class _Filling:
    def __init__(
        self, first: Iterable[Sighting | Left], second: Iterable[Sighting | Left], tolerance: Tolerance, filled: Filled
    ) -> None:
        self._first, self._second = Stretches(first), Stretches(second)
        self._tolerance = tolerance
        self._filled = filled
        self._away: Away | None = None  # for the next message that is let go
        self._has_begun = False

    def run(self) -> Iterator[Sighting | Left]:
        first, second = self._first, self._second
        while True:
            one, other = first.head(), second.head()
            if one is None or other is None:
                side = first if other is None else second
                if side.head() is None:
                    break
                self._begin(side)
                yield self._let_go(side)
            elif first.is_there and second.is_there:
                yield from self._pairs() if one.identity == other.identity else self._differing()
            elif first.is_there:
                yield from self._joined(first, second)
            elif second.is_there:
                yield from self._joined(second, first)
            else:
                self._begin(self._earlier(one, other))
        assert first.left_ns is not None
        assert second.left_ns is not None
        yield Left(*max(first.gone(), second.gone()))

    def _earlier(self, one: Sighting, other: Sighting) -> Stretches:
        """Return which of two who are both back was so first: the one who saw what the other begins with."""
        sides = (self._first, self._second) if one.at_ns <= other.at_ns else (self._second, self._first)
        if abs(one.at_ns - other.at_ns) <= self._tolerance.apart_ns:
            for live, late in (sides, sides[::-1]):
                ahead, _, coming = self._seam(live, late)
                if self._meeting(ahead, coming) is not None:
                    return live
        return sides[0]

    def _begin(self, side: Stretches) -> None:
        """Let a side be there by itself; if nobody was before, that was a gap."""
        if side.is_there:
            return
        side.is_there = True
        other = self._second if side is self._first else self._first
        left_ns, cause = max((side.away.left_ns, side.away.cause), other.gone())
        if not self._has_begun or left_ns < side.away.back_ns:
            self._away = Away(left_ns if self._has_begun else BEGINNING_NS, side.away.back_ns, cause)

    def _let_go(self, side: Stretches, *, is_doubtful: bool = False) -> Sighting:
        sighting = side.held[side.place]
        side.place += 1
        return self._out(sighting, is_doubtful=is_doubtful)

    def _out(self, sighting: Sighting, *, is_doubtful: bool = False) -> Sighting:
        sighting.away, self._away = self._away, None
        self._has_begun = True
        if is_doubtful:
            sighting.is_doubtful = True
            self._filled.doubtful += 1
        return sighting

    def _pairs(self) -> Iterator[Sighting]:
        """Let go of what is the same on both sides, as far as it is held."""
        first, second = self._first, self._second
        pairs = zip(first.held[first.place :], second.held[second.place :], strict=False)
        for count, (one, other) in enumerate(pairs):
            if one.identity != other.identity or (count and (one.away is not None or other.away is not None)):
                return
            first.place += 1
            second.place += 1
            one.seen |= other.seen
            self._filled.both += 1
            drift_ns = (other.at_ns - one.at_ns) // _DRIFT_SHARE
            second.lag_ns += max(-_DRIFT_NS, min(_DRIFT_NS, drift_ns))
            yield self._out(one)

    def _differing(self) -> Iterator[Sighting]:
        """Both are there and do not say the same: own messages, or what only one of them saw."""
        first, second = self._first, self._second
        if second.held[second.place].is_own:
            second.place += 1
            self._filled.left_out += 1
            return
        if first.held[first.place].is_own:
            yield self._let_go(first)
            return
        for side in (first, second):
            side.look_ahead(BEGINNING_NS, _RESYNC)
        ones, others = first.stretch()[0][:_RESYNC], second.stretch()[0][:_RESYNC]
        places: dict[Hashable, int] = {}
        for place, other in enumerate(others):
            places.setdefault(other.identity, place)
        meeting = min(
            (
                (i + places[one.identity], i, places[one.identity])
                for i, one in enumerate(ones)
                if one.identity in places
            ),
            default=None,
        )
        # Where they do not meet again, what came first goes first, a few at a time.
        counts = meeting[1:] if meeting else (min(_LOOK, len(ones)), min(_LOOK, len(others)))
        yield from self._apart(ones[: counts[0]], others[: counts[1]])

    def _apart(self, ones: list[Sighting], others: list[Sighting]) -> Iterator[Sighting]:
        """Let go of what only one side saw, by time."""
        self._first.place += len(ones)
        self._second.place += len(others)
        kept = [other for other in others if not other.is_own]
        self._filled.left_out += len(others) - len(kept)
        for sighting in sorted((*ones, *kept), key=lambda each: each.at_ns):
            yield self._out(sighting, is_doubtful=not sighting.is_own)

    def _joined(self, live: Stretches, late: Stretches) -> Iterator[Sighting]:
        """Let the one who is there go on alone until the other is back."""
        back = late.held[late.place]
        surely_before_ns = back.at_ns - self._tolerance.apart_ns
        while (head := live.head()) is not None and live.is_there and head.at_ns < surely_before_ns:
            yield self._let_go(live)
        if head is None or not live.is_there:
            return
        ahead, ends, coming = self._seam(live, late)
        meeting = self._meeting(ahead, coming)
        if meeting is not None:
            yield from self._until(live, late, *meeting)
        elif ends:
            for _ in ahead:
                yield self._let_go(live)
        else:  # both are there and share nothing
            yield from self._strangers(live, late, coming[:_LOOK])

    def _seam(self, live: Stretches, late: Stretches) -> tuple[list[Sighting], bool, list[Sighting]]:
        """Return what the one saw around the time when the other is back, whether it left then, and what that saw."""
        until_ns = late.held[late.place].at_ns + self._tolerance.apart_ns
        live.look_ahead(until_ns, _RUN)
        late.look_ahead(BEGINNING_NS, _LOOK + 2 * _RUN)
        ahead, ends = live.stretch()
        return ahead, ends and ahead[-1].at_ns <= until_ns, late.stretch()[0]

    def _until(
        self, live: Stretches, late: Stretches, place: int, back_place: int, is_sure: bool
    ) -> Iterator[Sighting]:
        """Let go of what is before the meeting of the two."""
        # Both came, and the one that seemed to be later by its clock was not.
        is_first = place == 0 and live.held[live.place].away is not None and live.is_there
        for _ in range(place):
            yield self._let_go(live)
        for _ in range(back_place):
            if is_first or not late.held[late.place].is_own:
                yield self._let_go(late, is_doubtful=not is_first)
            else:
                late.place += 1
                self._filled.left_out += 1
        late.is_there = True
        if not is_sure:
            late.held[late.place].is_doubtful = live.held[live.place].is_doubtful = True
            self._filled.doubtful += 1

    def _strangers(self, live: Stretches, late: Stretches, coming: list[Sighting]) -> Iterator[Sighting]:
        for sighting in coming:
            while (head := live.head()) is not None and live.is_there and head.at_ns <= sighting.at_ns:
                yield self._let_go(live)
            if sighting.is_own:
                late.place += 1
                self._filled.left_out += 1
            else:
                yield self._let_go(late, is_doubtful=True)

    def _meeting(self, ahead: list[Sighting], coming: list[Sighting]) -> tuple[int, int, bool] | None:
        """Return at which place of each the two say the same from there on, and whether that is certain."""
        looked_for = coming[:_LOOK]
        wanted = {sighting.identity for sighting in looked_for}
        places: defaultdict[Hashable, list[int]] = defaultdict(list)
        for place, sighting in enumerate(ahead):
            if sighting.identity in wanted:
                places[sighting.identity].append(place)
        has_shared = any(not sighting.is_own for sighting in looked_for)
        for back_place, sighting in enumerate(looked_for):
            if sighting.is_own and has_shared:
                continue
            apart = {
                place: abs(ahead[place].at_ns - sighting.at_ns)
                for place in places[sighting.identity]
                if abs(ahead[place].at_ns - sighting.at_ns) <= self._tolerance.apart_ns
            }
            found = self._best(apart, ahead, coming, back_place)
            if found is not None:
                return found[0], back_place, found[1]
        return None

    def _best(
        self, apart: dict[int, int], ahead: list[Sighting], coming: list[Sighting], back_place: int
    ) -> tuple[int, bool] | None:
        """Return the best of the places that say the same as one message, and whether there is no other."""
        runs = {place: _run(ahead, place, coming, back_place) for place in apart}
        alike = [place for place, goes_on in runs.items() if goes_on]
        # Something that only one saw may come soon after: what is before that must do.
        best = min(alike or runs, key=apart.__getitem__, default=None)
        if best is None:
            return None
        if _unmistakable(ahead, best, coming, back_place) >= _ENOUGH:
            return best, True
        if apart[best] > self._tolerance.jitter_ns:
            return None
        return best, sum(apart[place] <= self._tolerance.jitter_ns for place in alike or runs) == 1


def _run(ahead: list[Sighting], place: int, coming: list[Sighting], back_place: int) -> bool:
    """Return whether two places say the same from there on, as far as can be seen."""
    ones = (sighting.identity for sighting in islice(ahead, place + 1, None) if not sighting.is_own)
    others = (sighting.identity for sighting in islice(coming, back_place + 1, None) if not sighting.is_own)
    return all(one == other for one, other in zip(ones, islice(others, _RUN), strict=False))


def _unmistakable(ahead: list[Sighting], place: int, coming: list[Sighting], back_place: int) -> int:
    """Return how many messages from two places on are the same and occur nowhere else."""
    counts, other_counts = (Counter(each.identity for each in side) for side in (ahead, coming))
    shared = {each.identity for each in ahead[place : place + _RUN]}
    shared &= {each.identity for each in coming[back_place : back_place + _RUN]}
    return sum(counts[identity] == other_counts[identity] == 1 for identity in shared)
