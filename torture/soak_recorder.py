"""A day of recording in virtual time."""

from __future__ import annotations

import asyncio
import zlib
from pathlib import Path
from typing import Final
from unittest.mock import patch

from torture.day import Day
from torture.vitals import Soaked, Vitals
from wsrecorder.clock import VirtualClock
from wsrecorder.core.event import Kind
from wsrecorder.core.recorder import Limits
from wsrecorder.jobs.feed_recorder import FeedRecorder
from wsrecorder.jobs.record_options import Outcome, RecordOptions
from wsrecorder.net.feed import loop_factory
from wsrecorder.net.transport import FeedOptions
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import ParquetStore

__all__ = ["record_day"]

_LOOKS: Final = 90
_QUEUED_BYTES: Final = 1 << 20
_SETTLE: Final = 6


def record_day(seed: int, hours: float, folder: Path, *, trouble_s: float = 240.0) -> Soaked:
    """Record so many hours of the simulated feed in virtual time.

    Args:
        seed: What happens is drawn from it.
        hours: How long.
        folder: The library.
        trouble_s: Something goes wrong about so often.
    """
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_record_day(seed, hours, folder, trouble_s))


async def _record_day(seed: int, hours: float, folder: Path, trouble_s: float) -> Soaked:
    clock, vitals = VirtualClock(settle=_SETTLE), Vitals()
    day = Day(clock, seed, trouble_s)
    limits = Limits(segment_bytes=2 << 20)  # so that a flood fills one before its five minutes are over
    options = RecordOptions(
        feed=FeedOptions("ws://127.0.0.1:1/ws/"), library=folder, name="day", limits=limits, stall_s=30.0, sync=False
    )
    recorder, stop = FeedRecorder(options, clock), asyncio.Event()

    def at_rest() -> bool:
        recording = recorder.vitals.recording
        return recording is not None and recording.queued[1] < _QUEUED_BYTES

    every = max(1, round(hours * 60 / _LOOKS))
    minutes = 0

    def on_minute() -> None:
        nonlocal minutes
        if minutes % every == 0:
            vitals.look()
        minutes += 1

    with patch("wsrecorder.jobs.feed_recorder.connect_feed", day.connect):
        recording = asyncio.create_task(recorder.run(stop))
        await day.run(round(hours * 3_600e9), at_rest, on_minute)
        stop.set()
        outcome = await recording
    segments = len(outcome.manifest.segments) if outcome.manifest else 0
    losses = day.counts.total() - day.counts["floods"]
    return vitals.soaked(
        f"{hours:g} h, {day.delivered:,} events, {losses} reconnects, {segments} segments",
        _wrong(outcome, day),
    )


def _wrong(outcome: Outcome, day: Day) -> str:
    """Return what the recording lacks of the day; empty where it has all."""
    manifest, path = outcome.manifest, outcome.path
    if manifest is None or path is None or outcome.error is not None:
        return f"the recording ended with {outcome.error}"
    checksum = rows = 0
    for batch in ParquetStore(path).batches(Selection(kinds=frozenset({Kind.MESSAGE}))):
        for text in batch.column("text").to_pylist():
            checksum = zlib.crc32(text.encode(), checksum)
            rows += 1
    if (rows, checksum) != (day.delivered, day.checksum):
        return f"{day.delivered:,} messages with checksum {day.checksum} were sent, {rows:,} with {checksum} recorded"
    return ""
