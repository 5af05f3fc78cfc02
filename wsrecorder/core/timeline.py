"""When events are due: pure transforms over batches of integer times.

A transform takes the times of a batch and returns as many, in the same order; what it must
remember between batches it keeps itself. They are chained, so a new timing option is one more
transform. All times are session time, ns since the session began, and never fall within a pass.

Times that a transform changed are *played* time: with a gap cap the playhead is earlier than the
recording by what was cut. Both agree at the start of each pass, and `Placement.recorded_ns`
leads back from one to the other.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

__all__ = ["NO_TIME", "Axis", "GapCap", "Placement", "SentAxis", "Timeline", "Transform", "Window", "iter_gaps"]

NO_TIME = -(2**63)
"""Stands for null in a batch of times: the least int64, so that a running maximum passes it by."""

Transform = Callable[[Sequence[int]], Sequence[int]]
"""Due times of a batch in, as many due times out; ns."""


class Axis(StrEnum):
    """Which clock the times come from."""

    RECEIVED = "received"
    SENT = "sent"


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a session that is played.

    Attributes:
        start_ns: First session time that is in, ns.
        stop_ns: First session time that is out, ns; None is open.
    """

    start_ns: int = 0
    stop_ns: int | None = None

    def clip(self, elapsed_ns: Sequence[int]) -> tuple[int, int]:
        """Return the rows ``[start, stop)`` of a batch that are in the window."""
        start = bisect_left(elapsed_ns, self.start_ns)
        return start, len(elapsed_ns) if self.stop_ns is None else bisect_left(elapsed_ns, self.stop_ns, start)

    def is_past(self, elapsed_ns: int) -> bool:
        """Tell whether the window ends at or before this time: nothing from here on is in it."""
        return self.stop_ns is not None and elapsed_ns >= self.stop_ns


class SentAxis:
    """Places events by the sender's time stamps instead of by when they were received.

    Clocks of two machines differ, so only differences count: the first time stamp of a pass is
    pinned to the moment when it was received. An event without a time stamp is due with the one
    before it, and so is one that was sent earlier than the one before it: order is never changed.
    """

    def __init__(self) -> None:
        self._offset_ns: int | None = None
        self._latest_us = NO_TIME

    def __call__(self, elapsed_ns: Sequence[int], sent_us: Sequence[int]) -> Sequence[int]:
        """Return the due times of a batch.

        Args:
            elapsed_ns: When each event was received, session time, ns.
            sent_us: When each says it was sent, µs since the epoch, or `NO_TIME`; as long.
        """
        lead = 0  # events before the first time stamp keep the time at which they were received
        if self._offset_ns is None:
            lead = next((row for row, time_us in enumerate(sent_us) if time_us != NO_TIME), len(sent_us))
            if lead == len(sent_us):
                return elapsed_ns
            self._offset_ns = elapsed_ns[lead] - sent_us[lead] * 1_000
        offset_ns = self._offset_ns
        running_us = accumulate(sent_us[lead:], max, initial=self._latest_us)
        next(running_us)
        due_ns = [*elapsed_ns[:lead], *(time_us * 1_000 + offset_ns for time_us in running_us)]
        if due_ns:
            self._latest_us = (due_ns[-1] - offset_ns) // 1_000
        return due_ns


class GapCap:
    """Shortens every silence longer than a limit to that limit; shorter ones are left alone.

    Args:
        max_gap_ns: The longest silence that is kept, session time, ns.
        start_ns: Where the pass begins: the silence before its first event counts too.
    """

    def __init__(self, max_gap_ns: int, start_ns: int = 0) -> None:
        self._max_gap_ns = max_gap_ns
        self._last_ns = start_ns
        self._cut_ns = 0

    def __call__(self, due_ns: Sequence[int]) -> Sequence[int]:
        """Return the due times of the next batch, less what was cut before each."""
        if not due_ns:
            return due_ns
        self._cut_ns += max(0, due_ns[0] - self._last_ns - self._max_gap_ns)
        self._last_ns = due_ns[-1]
        gaps = list(iter_gaps(due_ns, self._max_gap_ns))
        if not gaps and not self._cut_ns:
            return due_ns  # the usual batch costs nothing
        capped: list[int] = []
        for start, stop in zip((0, *gaps), (*gaps, len(due_ns)), strict=True):
            if start:
                self._cut_ns += due_ns[start] - due_ns[start - 1] - self._max_gap_ns
            cut_ns = self._cut_ns
            capped += [time_ns - cut_ns for time_ns in due_ns[start:stop]]
        return capped


@dataclass(frozen=True, slots=True)
class Placement:
    """What a timeline made of a batch.

    Attributes:
        start: First row of the batch that is played.
        stop: First row after it that is not.
        due_ns: When each of the rows ``[start, stop)`` is due, played time, ns.
        elapsed_ns: When each of them was received, recorded time, ns.
        is_last: The window ends in this batch: nothing after it is played.
    """

    start: int
    stop: int
    due_ns: Sequence[int]
    elapsed_ns: Sequence[int]
    is_last: bool

    def recorded_ns(self, played_ns: int) -> int:
        """Return where in the recording the playhead stands when it is at ``played_ns``.

        In a silence that was cut it waits at most at the event that ends it.
        """
        row = bisect_right(self.due_ns, played_ns) - 1
        if row < 0:
            # Not yet at this batch: as far before its first event in one time as in the other.
            return self.elapsed_ns[0] - (self.due_ns[0] - played_ns) if self.due_ns else played_ns
        recorded_ns = self.elapsed_ns[row] + played_ns - self.due_ns[row]
        return recorded_ns if row + 1 == len(self.due_ns) else min(recorded_ns, self.elapsed_ns[row + 1])

    def next_ns(self, played_ns: int) -> int:
        """Return when the first row after ``played_ns`` was received, recorded time; there must be one."""
        return self.elapsed_ns[bisect_right(self.due_ns, played_ns)]


class Timeline:
    """The transforms of one pass, chained: window, axis, gap cap.

    Args:
        start_ns: Where the pass begins, session time, ns: its window's start, or where it was sought.
        stop_ns: Where it ends, not included; None is the session's end.
        axis: Which clock the times come from.
        max_gap_ns: The longest silence that is kept, ns; None keeps all.
    """

    def __init__(
        self,
        start_ns: int = 0,
        stop_ns: int | None = None,
        *,
        axis: Axis = Axis.RECEIVED,
        max_gap_ns: int | None = None,
    ) -> None:
        self._window = Window(start_ns, stop_ns)
        self._sent = SentAxis() if axis is Axis.SENT else None
        self._transforms: list[Transform] = [] if max_gap_ns is None else [GapCap(max_gap_ns, start_ns)]

    @property
    def wants_sent(self) -> bool:
        """Whether `place` must be given the senders' time stamps."""
        return self._sent is not None

    def place(self, elapsed_ns: Sequence[int], sent_us: Sequence[int] = ()) -> Placement:
        """Say which rows of the next batch are played, and when.

        Args:
            elapsed_ns: When each event was received, session time, ns; never falls. A memoryview
                of int64 is passed on as it is when no transform changes it.
            sent_us: When each says it was sent, µs since the epoch or `NO_TIME`; read only
                if `wants_sent`.
        """
        start, stop = self._window.clip(elapsed_ns)
        elapsed_ns_in = elapsed_ns[start:stop]
        due_ns = elapsed_ns_in if self._sent is None else self._sent(elapsed_ns_in, sent_us[start:stop])
        for transform in self._transforms:
            due_ns = transform(due_ns)
        is_last = len(elapsed_ns) > 0 and self._window.is_past(elapsed_ns[-1])
        return Placement(start, stop, due_ns, elapsed_ns_in, is_last)


def iter_gaps(times_ns: Sequence[int], max_gap_ns: int) -> Iterator[int]:
    """Yield the rows that come more than ``max_gap_ns`` after the row before them, in order.

    Halves the batch and looks only where a half spans more than the limit: a batch without gaps
    takes two look-ups, however long it is.

    Args:
        times_ns: Times that never fall, ns.
        max_gap_ns: The longest silence that is not a gap, ns.
    """
    pending = [(0, len(times_ns) - 1)]
    while pending:
        low, high = pending.pop()
        if high <= low or times_ns[high] - times_ns[low] <= max_gap_ns:
            continue
        if high == low + 1:
            yield high
            continue
        middle = (low + high) // 2
        pending += ((middle, high), (low, middle))
