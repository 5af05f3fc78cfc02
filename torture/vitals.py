"""What a process holds while it works, looked at again and again, and whether that stays flat.

The law, over looks at even distances, after a garbage collection each: of file descriptors, tasks and threads there are
in the last third of the looks no more, by the median, than in the middle third, but for two that come and go; the
blocks that Python has allocated are at most 1 % above, by the mean, resident memory at most 5 %, or 16 MB where that is
more (pools of memory breathe, by so much within minutes). What leaks with each reconnect, client or pass grows by
hundreds in that time. The first third is for warming up, and counts for nothing.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Final

__all__ = ["Look", "Soaked", "Vitals"]

_PAGE_BYTES: Final = os.sysconf("SC_PAGESIZE")
_COMING_AND_GOING: Final = 2
_MEMORY: Final = {"resident_bytes": (1.05, 16 << 20), "blocks": (1.01, 0)}
"""By what factor each may grow, or by how much."""


@dataclass(frozen=True, slots=True)
class Soaked:
    """What came of one soaking.

    Attributes:
        work: What was done, in numbers.
        vitals: What was held meanwhile, in numbers.
        trouble: What is wrong; empty where nothing is.
    """

    work: str
    vitals: str
    trouble: str


@dataclass(frozen=True, slots=True)
class Look:
    """What there was at one moment.

    Attributes:
        resident_bytes: Memory of the process.
        blocks: Blocks of memory that Python has allocated.
        descriptors: Open file descriptors.
        tasks: Tasks of the event loop.
        threads: Threads of Python.
    """

    resident_bytes: int
    blocks: int
    descriptors: int
    tasks: int
    threads: int


class Vitals:
    """Looks at this process, from its event loop."""

    def __init__(self) -> None:
        self.looks: list[Look] = []

    def look(self) -> None:
        """Look once."""
        gc.collect()
        self.looks.append(
            Look(
                resident_bytes=int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES,
                blocks=sys.getallocatedblocks(),
                descriptors=sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1,  # less that of the look itself
                tasks=len(asyncio.all_tasks()),
                threads=threading.active_count(),
            )
        )

    @property
    def figure(self) -> str:
        """The numbers, in one line."""
        middle, last = self._thirds(lambda look: look.resident_bytes)
        block_middle, block_last = self._thirds(lambda look: look.blocks)
        most = {name: max(getattr(look, name) for look in self.looks) for name in Look.__slots__}
        return (
            f"{most['resident_bytes'] / 1e6:.0f} MB at most, last third {(last / middle - 1) * 100:+.1f} % on middle "
            f"({(block_last / block_middle - 1) * 100:+.2f} % of Python's blocks); {most['descriptors']} descriptors, "
            f"{most['tasks']} tasks, {most['threads']} threads at most"
        )

    def growth(self) -> str:
        """Return what is not flat, in words; empty where all is."""
        found = []
        for name in ("descriptors", "tasks", "threads"):
            middle, last = self._thirds(lambda look, name=name: getattr(look, name), median)  # type: ignore[misc]
            if last > middle + _COMING_AND_GOING:
                found.append(f"{name} {middle:g} → {last:g}")
        for name, (factor, slack) in _MEMORY.items():
            middle, last = self._thirds(lambda look, name=name: getattr(look, name))  # type: ignore[misc]
            if last > max(middle * factor, middle + slack):
                found.append(f"{name} {middle:,.0f} → {last:,.0f}")
        return ", ".join(found)

    def soaked(self, work: str, trouble: str = "") -> Soaked:
        """Return what came of it: the work, what was held, and what is wrong beside growth."""
        return Soaked(work, self.figure, "; ".join(filter(None, (trouble, self.growth()))))

    def _thirds(self, of: Callable[[Look], int], mean: Callable[[list[int]], float] = fmean) -> tuple[float, float]:
        """Return what the middle and the last third of the looks come to."""
        values = list(map(of, self.looks))
        third = len(values) // 3
        assert third, "it takes three looks to tell"
        return mean(values[-2 * third : -third]), mean(values[-third:])
