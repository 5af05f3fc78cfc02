"""By how much a sender's clock is off ours, as far as data that flows one way can tell.

A message's raw delay is when it came, by our clock, less when it was sent, by the sender's: its true delay plus the
offset between the two clocks. The true delay is never below that of an empty path, so the least raw delays trace the
offset over time: a line under all of them, as high as can be, is the estimate.

- Offset: the height of that line. What it cannot hold is the delay of the fastest message itself: the sum of the two is
  all that one direction shows. NTP (RFC 5905, section 8) parts them by asking for an answer and halving the round trip;
  a recorder only listens. So a corrected delay is the time above the fastest message, not the time on the wire.
- Skew: the slope of that line, for two clocks do not run at quite the same rate. Of all lines under the points, the one
  with the least sum of distances is the edge of their lower convex hull over their mean time (Moon, Skelly, Towsley:
  "Estimation and Removal of Clock Skew from Network Delay Measurements", INFOCOM 1999). It is taken only where it can
  be told from noise: least delays over 10 minutes or more, an edge that spans a tenth of them, and at most 500 ppm,
  which is the most that NTP lets a clock be off (RFC 5905, MAXFREQ).
- Minima, not means, because queues only ever add (Paxson: "On Calibrating Measurements of Packet Transit Times",
  SIGMETRICS 1998). A second whose least delay lies more than 60 s under the median of all seconds is left out: its
  stamp is of no clock that the others are of. A message under the line has no corrected delay.

A clock that is set during a session looks like messages that were held up; one way shows the same for both. The spread
of the least delays says that it happened. The view ``clocks`` (``analysis/views/clocks.sql``) is the same in SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import Final

__all__ = ["DOUBTED_US", "Clocks", "estimate", "least_delays"]

DOUBTED_US: Final = 60_000_000
"""How far under the others a least delay must be for its stamp to be of another clock."""

_SPANS: Final = 128
"""Of how many points the hull is made: all pairs of them are looked at."""

_SHORTEST_S: Final = 600
"""Shorter sessions have no skew: a millisecond of noise would be more than 1 ppm."""

_EDGE_SHARE: Final = 0.1
_MOST_PPM: Final = 500.0


@dataclass(frozen=True, slots=True)
class Clocks:
    """An estimate: what to take off a raw delay.

    Attributes:
        offset_us: Least raw delay at the session's beginning, µs.
        skew_ppm: By how much it grows, µs a second; 0 where it cannot be told from noise.
        seconds: Seconds in which a message with a time stamp came.
        doubted: Of these, seconds left out.
        spread_ms: Between the lowest and the highest least delay of a second, skew taken off, ms.
    """

    offset_us: float
    skew_ppm: float
    seconds: int
    doubted: int
    spread_ms: float

    def latency_us(self, elapsed_ns: int, raw_us: int) -> float | None:
        """Return a delay with the clocks corrected, µs; None if the stamp cannot be right.

        Args:
            elapsed_ns: When the message came, ns since the session began.
            raw_us: ``elapsed_ns // 1000`` less the time stamp, µs.
        """
        latency_us = raw_us - self.offset_us - self.skew_ppm * (elapsed_ns / 1e9)
        # A float of 2e15 µs, which is today's date, is exact to 0.25 µs: on the line may be a little under it.
        return max(latency_us, 0.0) if latency_us > -1 else None


def least_delays(messages: Iterable[tuple[int, int | None]]) -> dict[int, int]:
    """Return the least raw delay of each second in which a message with a time stamp came, µs.

    Args:
        messages: Of each, when it came (ns since the session began) and its time stamp (µs, any epoch), or None.
    """
    least: dict[int, int] = {}
    for elapsed_ns, sent_us in messages:
        if sent_us is None:
            continue
        second, raw_us = elapsed_ns // 1_000_000_000, elapsed_ns // 1_000 - sent_us
        if raw_us < least.get(second, raw_us + 1):
            least[second] = raw_us
    return least


def estimate(least_us: Mapping[int, int]) -> Clocks | None:
    """Return the estimate, or None if no message had a time stamp.

    Args:
        least_us: Least raw delay of each second, µs, as `least_delays` returns it.
    """
    if not least_us:
        return None
    lowest_us = median(least_us.values()) - DOUBTED_US
    trusted = {second: raw_us for second, raw_us in least_us.items() if raw_us >= lowest_us}
    skew_ppm = _skew_ppm(_points(trusted))
    # Under every second from its beginning to its end, so that no message that counts is under the line.
    offset_us = min(raw_us - max(skew_ppm * second, skew_ppm * (second + 1)) for second, raw_us in trusted.items())
    level = [raw_us - skew_ppm * second for second, raw_us in trusted.items()]
    return Clocks(
        offset_us=float(offset_us),
        skew_ppm=skew_ppm,
        seconds=len(least_us),
        doubted=len(least_us) - len(trusted),
        spread_ms=(max(level) - min(level)) / 1e3,
    )


def _points(trusted: Mapping[int, int]) -> list[tuple[int, int]]:
    """Return the lowest second of each span, as second and least delay."""
    first, last = min(trusted), max(trusted)
    lowest: dict[int, tuple[int, int]] = {}
    for second, raw_us in trusted.items():
        span = (second - first) * _SPANS // (last - first + 1)
        lowest[span] = min(lowest.get(span, (raw_us, second)), (raw_us, second))
    return [(second, raw_us) for raw_us, second in lowest.values()]


def _skew_ppm(points: list[tuple[int, int]]) -> float:
    """Return the slope of the lower hull's edge over the mean time, 0 where it says nothing.

    The hull at one time is the lowest of all chords that span it.
    """
    seconds = [second for second, _ in points]
    middle, length = sum(seconds) / len(seconds), max(seconds) - min(seconds)
    chords = []
    for (a, a_us), (b, b_us) in product(points, points):
        if a <= middle < b:
            slope = (b_us - a_us) / (b - a)
            chords.append((a_us + slope * (middle - a), slope, b - a))
    if not chords or length < _SHORTEST_S:
        return 0.0
    _, slope, chord = min(chords)
    return slope if chord >= length * _EDGE_SHARE and abs(slope) <= _MOST_PPM else 0.0
