"""Record one or more feeds, each into a session of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from wsrecorder.clock import Clock
from wsrecorder.jobs.feed_recorder import FeedRecorder
from wsrecorder.jobs.record_options import Outcome, RecordOptions

__all__ = ["record_feeds"]


async def record_feeds(
    options: Sequence[RecordOptions],
    clock: Clock,
    stop: asyncio.Event,
    on_started: Callable[[list[FeedRecorder]], None] | None = None,
) -> list[Outcome]:
    """Record feeds side by side, each into a session of its own; the trouble of one never ends another.

    Args:
        options: One for each feed.
        clock: Where the time comes from.
        stop: Set it to seal everything and return.
        on_started: Told the recorders, whose ``state`` can be shown.

    Returns:
        An outcome for each feed, in order.
    """
    recorders = [FeedRecorder(entry, clock) for entry in options]
    if on_started is not None:
        on_started(recorders)
    return await asyncio.gather(*(recorder.run(stop) for recorder in recorders))
