"""By how much the clocks of recorders of one feed are off each other, as far as messages that both saw can tell.

Each recording is sampled: the messages whose hash is smallest, which are the same ones in every recording, so that a
few thousand of them are enough however long the recordings are. A message that came twice tells nothing. The offset is
the median of what is left; what two recorders see further apart than nearly all others is a stall, not a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Final

from wsrecorder.core.gap_filling import Tolerance

__all__ = ["ClockOffset", "Sample", "clock_offsets", "tolerance_of"]

_LEAST_JITTER_NS: Final = 20_000_000
_LEAST_APART_NS: Final = 2_000_000_000
_MOST_APART_NS: Final = 60_000_000_000


class Sample:
    """Messages of a recording, chosen by hash.

    Args:
        size: How many are kept, about.
    """

    def __init__(self, size: int = 16_384) -> None:
        self._size = size
        self._limit = 1 << 32
        self._seen: dict[int, int | None] = {}

    def add(self, key: int, at_ns: int) -> None:
        """Take a message.

        Args:
            key: Its hash, 32 bits.
            at_ns: When it came, UTC ns by the recorder's clock.
        """
        if key >= self._limit:
            return
        self._seen[key] = None if key in self._seen else at_ns
        if len(self._seen) > 2 * self._size:
            self._limit //= 2
            self._seen = {key: at_ns for key, at_ns in self._seen.items() if key < self._limit}

    def apart_ns(self, other: Sample) -> list[int]:
        """Return by how much later another recorder says that it saw each message that both saw, ns."""
        return [
            other_ns - at_ns
            for key, at_ns in self._seen.items()
            if at_ns is not None and (other_ns := other._seen.get(key)) is not None
        ]


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """How a recorder's clock is off that of the first.

    Attributes:
        ahead_ns: What to take off its times, ns.
        shared: Messages that told it; 0 if nothing did.
        jitter_ns: How far apart two sightings of a message are, ns, nearly all of them, the offset taken off.
    """

    ahead_ns: int = 0
    shared: int = 0
    jitter_ns: int = 0


def clock_offsets(samples: Sequence[Sample]) -> list[ClockOffset]:
    """Return how each clock is off the first one's; by way of others where it shares nothing with that.

    Args:
        samples: Of each recording, the first one's first.
    """
    found = {0: ClockOffset()}
    while len(found) < len(samples):
        links = {
            (known, place): _offset(samples[known].apart_ns(samples[place]))
            for known in found
            for place in range(len(samples))
            if place not in found
        }
        (known, place), best = max(links.items(), key=lambda link: link[1].shared)
        if best.shared:
            best = ClockOffset(best.ahead_ns + found[known].ahead_ns, best.shared, best.jitter_ns)
        found[place] = best
    return [found[place] for place in range(len(samples))]


def tolerance_of(offsets: Sequence[ClockOffset]) -> Tolerance:
    """Return how far clocks and networks are trusted, by what was found."""
    jitter_ns = max(_LEAST_JITTER_NS, 2 * max(offset.jitter_ns for offset in offsets))
    return Tolerance(jitter_ns, min(_MOST_APART_NS, max(_LEAST_APART_NS, 4 * jitter_ns)))


def _offset(apart_ns: list[int]) -> ClockOffset:
    if not apart_ns:
        return ClockOffset()
    middle_ns = median_low(apart_ns)
    beside_ns = sorted(abs(each - middle_ns) for each in apart_ns)
    return ClockOffset(middle_ns, len(apart_ns), beside_ns[(len(beside_ns) - 1) * 99 // 100])
