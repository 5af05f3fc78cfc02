"""A histogram of durations: about 1 % relative error at any size, in bounded memory.

Log-linear buckets as in HdrHistogram: each power of two is cut into 128 equal parts, so a value
is known to within 0.8 % of itself, from 1 ns to 292 years, in at most some 15,000 counters.
Only counters that were hit exist. Negative durations are kept too: the clocks of two machines
differ, so a latency can be below zero.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

__all__ = ["Distribution", "sample_rows"]

_BITS = 7  # 2**7 buckets to a power of two; below 2**8 a value is its own bucket


class Distribution:
    """How often durations of which length occurred.

    Attributes:
        count: How many were recorded, weights counted.
        total_ns: Their sum, exact.
        min_ns: The shortest, exact; 0 while there is none.
        max_ns: The longest, exact; 0 while there is none.
    """

    __slots__ = ("_counts", "count", "max_ns", "min_ns", "total_ns")

    def __init__(self, durations_ns: Iterable[int] = ()) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.total_ns = 0
        self.min_ns = 0
        self.max_ns = 0
        for duration_ns in durations_ns:
            self.record(duration_ns)

    def record(self, duration_ns: int, weight: int = 1) -> None:
        """Count a duration ``weight`` times."""
        bucket = _bucket(duration_ns) if duration_ns >= 0 else -_bucket(-duration_ns)
        self._counts[bucket] = self._counts.get(bucket, 0) + weight
        if not self.count:
            self.min_ns = self.max_ns = duration_ns
        elif duration_ns > self.max_ns:
            self.max_ns = duration_ns
        elif duration_ns < self.min_ns:
            self.min_ns = duration_ns
        self.count += weight
        self.total_ns += duration_ns * weight

    def merge(self, other: Distribution) -> None:
        """Count all that ``other`` counted."""
        if not other.count:
            return
        for bucket, count in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count
        self.min_ns = min(self.min_ns, other.min_ns) if self.count else other.min_ns
        self.max_ns = max(self.max_ns, other.max_ns) if self.count else other.max_ns
        self.count += other.count
        self.total_ns += other.total_ns

    @property
    def mean_ns(self) -> float | None:
        """The mean, exact; None while there is none."""
        return self.total_ns / self.count if self.count else None

    def percentile_ns(self, percent: float) -> int | None:
        """Return the shortest duration that ``percent`` of all do not exceed (nearest rank).

        Args:
            percent: From 0 to 100.

        Returns:
            ns, within 1 % of the true value; None while there is none.
        """
        if not self.count:
            return None
        rank = percent / 100 * self.count
        if rank >= self.count:
            return self.max_ns
        buckets = sorted(self._counts)
        reached = list(accumulate(self._counts[bucket] for bucket in buckets))
        middle_ns = _middle(buckets[bisect_left(reached, rank)])
        # The ends are known exactly; no bucket's middle may lie beyond them.
        return min(max(middle_ns, self.min_ns), self.max_ns)

    def cumulative(self, bounds_ns: Sequence[int]) -> list[int]:
        """Return how many durations do not exceed each bound, and last how many there are.

        Safe while another thread records.

        Args:
            bounds_ns: Ascending. A duration within 1 % of one may count on either side of it.
        """
        found = [0] * (len(bounds_ns) + 1)
        for bucket, count in self._counts.copy().items():
            found[bisect_left(bounds_ns, _middle(bucket))] += count
        return list(accumulate(found))

    def summary_ms(self) -> dict[str, float | None]:
        """Return ``p50``, ``p99``, ``max`` and ``mean`` in ms, for reports; None while there is none."""
        if not self.count:
            return dict.fromkeys(("p50", "p99", "max", "mean"))
        return {
            "p50": _to_ms(self.percentile_ns(50)),
            "p99": _to_ms(self.percentile_ns(99)),
            "max": _to_ms(self.max_ns),
            "mean": _to_ms(self.mean_ns),
        }


def sample_rows(start: int, stop: int, limit: int = 16) -> Iterator[tuple[int, int]]:
    """Yield rows that stand for the range ``[start, stop)``: all of a short one, else ``limit`` evenly spaced.

    Yields:
        A row, and how many rows of the range it stands for; the latter add up to the whole range.
    """
    rows = stop - start
    if rows <= limit:
        for row in range(start, stop):
            yield row, 1
        return
    for part in range(limit):
        first, after = part * rows // limit, (part + 1) * rows // limit
        yield start + (first + after) // 2, after - first


def _bucket(duration_ns: int) -> int:
    shift = duration_ns.bit_length() - _BITS - 1
    # The leading bit stays in, so the buckets of the next power of two follow on without a hole.
    return duration_ns if shift <= 0 else (shift << _BITS) + (duration_ns >> shift)


def _middle(bucket: int) -> int:
    if bucket < 0:
        return -_middle(-bucket)
    shift = (bucket >> _BITS) - 1
    if shift <= 0:
        return bucket
    return ((bucket - (shift << _BITS)) << shift) + (1 << shift >> 1)


def _to_ms(duration_ns: float | None) -> float | None:
    return None if duration_ns is None else round(duration_ns / 1e6, 3)
