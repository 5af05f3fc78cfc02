"""A feed that drops, stalls, resets and talks nonsense: what was good before is kept, and the recorder comes back.

Recorders run beside each other in one process, each with a `HostileFeed` of its own that plays it case after case. What
they recorded is then held against what was sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from torture.finding import Finding
from torture.hostile_clients import Disturbed, disturb_endpoint, disturb_tap
from torture.hostile_feed import STALL_S, HostileFeed, LeapClock, draw_case, draw_first
from torture.hostile_frames import MAX_FRAME_BYTES
from torture.hostile_record import broken_by
from torture.peak_memory import PeakMemory
from wsrecorder.core.recorder import Retry
from wsrecorder.jobs.record import record_feeds
from wsrecorder.jobs.record_options import RecordOptions
from wsrecorder.jobs.verify import verify
from wsrecorder.net.feed import loop_factory
from wsrecorder.net.transport import FeedOptions
from wsrecorder.store.library import open_store

__all__ = ["findings"]

_CASES: Final = 10_000
_CASES_A_LANE: Final = 50
_LANES_AT_ONCE: Final = 32
_MOST_GROWTH_BYTES: Final = 768 << 20
"""Of 32 recorders at work, with messages up to 2 MiB; one bomb inflated would be a GiB."""

_OPEN_TIMEOUT_S: Final = 4.0
"""What a mute server costs; a good one on a busy machine must have it, too."""

_TRANSPORTS: Final = ("websockets", "picows")


@dataclass(slots=True)
class _Total:
    """What all recorders came to."""

    cases: int = 0
    connections: int = 0
    messages: int = 0
    gaps: int = 0
    unsound: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    hung: list[str] = field(default_factory=list)


def findings(seed: int, effort: float, folder: Path) -> list[Finding]:
    """Return what came of a hostile feed.

    Args:
        seed: What the cases are drawn from.
        effort: Share of the 10,000 cases.
        folder: Where sessions may be put.
    """
    cases = max(1, round(_CASES * effort))
    for name in ("wsrecorder", "websockets"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # each case would have something to say
    with PeakMemory() as memory, asyncio.Runner(loop_factory=loop_factory()) as runner:
        total = runner.run(_record_all(seed, cases, folder))
        disturbed = runner.run(_disturb_all(seed, max(1, cases // 10), folder))
    return [*_told(total, memory.growth_bytes), disturbed]


def _told(total: _Total, growth_bytes: int) -> list[Finding]:
    trial = f"{total.cases:,} cases of hostile handshakes, frames and ends, over websockets and picows each"
    return [
        Finding(
            "What was good before a feed went wrong is kept, once, unaltered, in order; then the recorder comes back",
            trial,
            f"{total.messages:,} messages kept of {total.connections:,} connections, "
            f"{total.gaps:,} gaps with their cause, {len(total.lost)} cases wrong, {total.unsound} sessions unsound",
            not total.lost and not total.unsound,
            "; ".join(total.lost[:3]),
        ),
        Finding(
            "A feed that goes wrong never makes a recorder hang",
            trial,
            f"{len(total.hung)} hung",
            not total.hung,
            "; ".join(total.hung[:3]),
        ),
        Finding(
            "Memory is bounded, whatever a feed claims or deflates",
            "lengths up to 2^63, bombs of up to 1 GiB in 1 MiB, endless heads and bodies",
            f"{growth_bytes >> 20} MiB more at the peak",
            growth_bytes <= _MOST_GROWTH_BYTES,
        ),
    ]


async def _disturb_all(seed: int, cases: int, folder: Path) -> Finding:
    """Let hostile clients at an endpoint and at a tap, half and half."""
    disturbed = Disturbed()
    await disturb_endpoint(seed, max(1, cases // 2), disturbed)
    await disturb_tap(seed, max(1, cases // 2), disturbed, folder / "tap")
    return Finding(
        "Hostile clients disturb nobody else, neither at an endpoint nor at a tap",
        f"{disturbed.cases:,} hostile connections beside well-behaved ones, and a hostile server behind the tap",
        f"{disturbed.heard:,} messages heard by the others, whole and in order; {len(disturbed.broken)} things wrong",
        not disturbed.broken,
        "; ".join(disturbed.broken[:3]),
    )


async def _record_all(seed: int, cases: int, folder: Path) -> _Total:
    total = _Total(cases=cases)
    places = asyncio.Semaphore(_LANES_AT_ONCE)
    a_lane = min(_CASES_A_LANE, max(1, cases // (_LANES_AT_ONCE // 2)))
    async with asyncio.TaskGroup() as lanes:
        for start in range(0, cases, a_lane):
            for transport in _TRANSPORTS:
                numbers = range(start, min(cases, start + a_lane))
                lanes.create_task(_record(seed, numbers, transport, folder / f"{transport}-{start}", total, places))
    return total


async def _record(
    seed: int, numbers: range, transport: str, folder: Path, total: _Total, places: asyncio.Semaphore
) -> None:
    """Record some cases with one recorder, and look at what it made of them."""
    async with places:
        clock, stop = LeapClock(), asyncio.Event()
        async with HostileFeed(seed, numbers, clock, stop.set) as feed:
            options = RecordOptions(
                feed=FeedOptions(
                    f"ws://127.0.0.1:{feed.port}/ws/", max_frame_bytes=MAX_FRAME_BYTES, open_timeout_s=_OPEN_TIMEOUT_S
                ),
                library=folder,
                name="hostile",
                retry=Retry(first_s=0.002, most_s=0.004),
                stall_s=STALL_S,
                sync=False,
                transport=transport,
            )
            (outcome,) = await record_feeds([options], clock, stop)
        total.hung += [f"{transport}, {found}" for found in feed.broken]
        if outcome.path is None or outcome.error is not None:
            total.lost.append(f"{transport}, from case {numbers.start}: {outcome.error}")
            return
        store = open_store(outcome.path)
        cases = (draw_case(seed, number) for number in numbers)
        seen = await asyncio.to_thread(broken_by, store, draw_first(seed, numbers), cases)
        total.lost += [f"{transport}, {found}" for found in seen.broken]
        total.unsound += not (await asyncio.to_thread(verify, store)).is_sound
        total.messages += seen.messages
        total.connections += seen.connections
        total.gaps += seen.gaps
        total.causes.update(seen.causes)
