"""Which message of one stream is which of another: the same, moved, changed, missing, added.

Both streams are read side by side. As long as their heads are the same, nothing is held. Where they part, a window
of each is looked at:

1. Messages of one identity are paired in order. Those that occur once in both windows are sure landmarks: the longest
   run of them that keeps the order is kept, and what lies between two landmarks is paired likewise (patience diff).
2. Of what is left, the same identity elsewhere in the window is the same message moved.
3. Then type and entity count: between the same two pairs, a message of one type that speaks of the same entity (or,
   like its counterpart, of none) is the same message changed; then so is one of the same entity anywhere in the window.
4. The rest is missing in the second stream, or added to it.

The window is let go up to its last pair. It grows, up to a limit, while less than half of it can be paired; so at most
`MOST_HELD` messages of each stream are held, and what is further out of place than that counts as missing
and added.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import islice, pairwise
from typing import Any, Final, Generic, TypeVar

__all__ = ["MOST_HELD", "Match", "Message", "Outcome", "align"]

MOST_HELD: Final = 131_072
"""Most messages of either stream that are held at a time."""

_WINDOW: Final = 2_048
_GROWTH: Final = 4
_SMALL: Final = 250_000  # pairs that may be looked at one by one: 500 messages beside 500

_Content = TypeVar("_Content")


@dataclass(frozen=True, slots=True)
class Message(Generic[_Content]):
    """A message of a stream, as far as its alignment goes.

    Attributes:
        identity: The same for messages that say the same.
        type: Its type, or None.
        entity: What it speaks of, or None.
        content: Whatever its owner needs to know it again.
    """

    identity: Hashable
    type: str | None
    entity: str | None
    content: _Content


class Outcome(StrEnum):
    """What became of a message."""

    SAME = "same"
    MOVED = "moved"
    CHANGED = "changed"
    MISSING = "missing"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class Match(Generic[_Content]):
    """A message of the first stream, of the second, or of both.

    Attributes:
        outcome: What became of it.
        before: In the first stream; None if it was added.
        after: In the second stream; None if it is missing.
    """

    outcome: Outcome
    before: Message[_Content] | None
    after: Message[_Content] | None


class _Side(Generic[_Content]):
    """One stream: what is held of it, and whether more comes."""

    def __init__(self, messages: Iterable[Message[_Content]]) -> None:
        self._coming = iter(messages)
        self.held: list[Message[_Content]] = []
        self.has_more = True

    def fill(self, size: int) -> None:
        if self.has_more and len(self.held) < size:
            self.held += islice(self._coming, size - len(self.held))
            self.has_more = len(self.held) == size

    def take(self, count: int) -> list[Message[_Content]]:
        taken, self.held = self.held[:count], self.held[count:]
        return taken


def align(
    before: Iterable[Message[_Content]], after: Iterable[Message[_Content]], *, window: int = _WINDOW,
    most: int = MOST_HELD,
) -> Iterator[Match[_Content]]:  # fmt: skip
    """Yield what became of each message, in the order of the first stream, additions where they came.

    Args:
        before: The first stream.
        after: The second stream.
        window: How many messages of each are looked at first.
        most: How many at most.
    """
    left, right = _Side(before), _Side(after)
    size = window
    while True:
        left.fill(size)
        right.fill(size)
        if not left.held and not right.held:
            return
        count = _same_at_head(left.held, right.held)
        if count:
            for one, other in zip(left.take(count), right.take(count), strict=True):
                yield Match(Outcome.SAME, one, other)
            size = window
            continue
        pairs = _pairs([each.identity for each in left.held], [each.identity for each in right.held])
        has_more = left.has_more or right.has_more
        if has_more and size < most and 2 * len(pairs) < min(len(left.held), len(right.held)):
            size = min(most, size * _GROWTH)
            continue
        stops = _stops(pairs, left, right) if has_more else (len(left.held), len(right.held))
        yield from _resolved(left.take(stops[0]), right.take(stops[1]), pairs)
        size = window


def _same_at_head(left: list[Message[_Content]], right: list[Message[_Content]]) -> int:
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one.identity != other.identity:
            return index
    return min(len(left), len(right))


def _stops(pairs: list[tuple[int, int]], left: _Side[Any], right: _Side[Any]) -> tuple[int, int]:
    """Return how much of each side is let go: up to the last pair, and more where that is too little to get on."""
    stops = [last + 1 for last in pairs[-1]] if pairs else [0, 0]
    sides = (left, right)
    if all(stop < len(side.held) // 2 for stop, side in zip(stops, sides, strict=True) if side.has_more):
        stops = [
            max(stop, len(side.held) // 2 if side.has_more else 0) for stop, side in zip(stops, sides, strict=True)
        ]
    return stops[0], stops[1]


def _pairs(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return pairs of places with the same identity; both places grow from pair to pair."""
    found: list[tuple[int, int]] = []
    gaps = [(0, len(left), 0, len(right))]
    while gaps:
        start, stop, begin, end = gaps.pop()
        while start < stop and begin < end and left[start] == right[begin]:
            found.append((start, begin))
            start, begin = start + 1, begin + 1
        while start < stop and begin < end and left[stop - 1] == right[end - 1]:
            stop, end = stop - 1, end - 1
            found.append((stop, end))
        if start == stop or begin == end:
            continue
        landmarks = _landmarks(left[start:stop], right[begin:end])
        if landmarks:
            edges = [(start - 1, begin - 1), *((start + i, begin + j) for i, j in landmarks), (stop, end)]
            found += edges[1:-1]
            gaps += [(i + 1, k, j + 1, m) for (i, j), (k, m) in pairwise(edges)]
        else:
            found += [(start + i, begin + j) for i, j in _repeated(left[start:stop], right[begin:end])]
    return sorted(found)


def _landmarks(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return pairs of what occurs once on both sides, as many as can keep their order."""
    counts, others = Counter(left), Counter(right)
    places = {identity: place for place, identity in enumerate(right) if others[identity] == 1}
    once = [(i, places[identity]) for i, identity in enumerate(left) if counts[identity] == 1 and identity in places]
    return _in_order(once)


def _repeated(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return pairs where nothing that is on both sides occurs just once."""
    if len(left) * len(right) <= _SMALL:
        blocks = SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks()
        return [(i + k, j + k) for i, j, length in blocks for k in range(length)]
    return _in_order(_nth_to_nth(range(len(left)), range(len(right)), left.__getitem__, right.__getitem__))


def _in_order(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest run of pairs, sorted by their first place, whose second place grows too."""
    pairs = sorted(pairs)
    smallest: list[int] = []  # of runs of each length, the least place that one ends with
    ends: list[int] = []
    before = [-1] * len(pairs)
    for index, (_, place) in enumerate(pairs):
        length = bisect_left(smallest, place)
        before[index] = ends[length - 1] if length else -1
        if length == len(smallest):
            smallest.append(place)
            ends.append(index)
        else:
            smallest[length], ends[length] = place, index
    run = []
    index = ends[-1] if ends else -1
    while index >= 0:
        run.append(pairs[index])
        index = before[index]
    return run[::-1]


def _nth_to_nth(
    left: Iterable[int], right: Iterable[int], key: Callable[[int], Hashable], other_key: Callable[[int], Hashable]
) -> list[tuple[int, int]]:
    """Return pairs of places by key: the first of one side with the first of the other, and so on; None is no key."""
    waiting: defaultdict[Hashable, deque[int]] = defaultdict(deque)
    for j in right:
        waiting[other_key(j)].append(j)
    waiting.pop(None, None)
    return [(i, waiting[key(i)].popleft()) for i in left if waiting.get(key(i))]


def _resolved(
    left: list[Message[_Content]], right: list[Message[_Content]], pairs: list[tuple[int, int]]
) -> Iterator[Match[_Content]]:
    """Yield what became of the messages of a window, given those that are the same in the same order."""
    matched: dict[int, tuple[int, Outcome]] = {i: (j, Outcome.SAME) for i, j in pairs}
    taken = {j for _, j in pairs}
    gap_of, other_gap_of = _gaps(len(left), dict(pairs)), _gaps(len(right), {j: i for i, j in pairs})

    def settle(outcome: Outcome, key: Callable[[Message[Any], int], Hashable]) -> None:
        free = [i for i in range(len(left)) if i not in matched]
        other_free = [j for j in range(len(right)) if j not in taken]
        for i, j in _nth_to_nth(
            free, other_free, lambda i: key(left[i], gap_of[i]), lambda j: key(right[j], other_gap_of[j])
        ):
            matched[i] = j, outcome
            taken.add(j)

    settle(Outcome.MOVED, lambda message, gap: message.identity)
    settle(Outcome.CHANGED, lambda message, gap: (gap, message.type, message.entity))
    settle(Outcome.CHANGED, lambda message, gap: None if message.entity is None else (message.type, message.entity))
    added = defaultdict(list)
    for j in range(len(right)):
        if j not in taken:
            added[other_gap_of[j]].append(j)
    for i, message in enumerate(left):
        if i in matched:
            j, outcome = matched[i]
            if outcome is Outcome.SAME:
                # What was added before this pair comes before it.
                yield from (Match(Outcome.ADDED, None, right[k]) for k in added.pop(gap_of[i] - 1, ()))
            yield Match(outcome, message, right[j])
        else:
            yield Match(Outcome.MISSING, message, None)
    yield from (Match(Outcome.ADDED, None, right[j]) for gap in sorted(added) for j in added[gap])


def _gaps(count: int, paired: dict[int, int]) -> list[int]:
    """Return for each place after how many pairs it comes, a pair itself included."""
    gaps, passed = [], 0
    for place in range(count):
        passed += place in paired
        gaps.append(passed)
    return gaps
