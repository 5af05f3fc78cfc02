"""Record one or more feeds, each into a session of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

from wsrecorder.clock import Clock
from wsrecorder.core.retention import Limit
from wsrecorder.jobs.feed_recorder import FeedRecorder
from wsrecorder.jobs.keeping import keep_within
from wsrecorder.jobs.record_options import Outcome, RecordOptions
from wsrecorder.jobs.snapshot import snapshot_name

__all__ = ["record_feeds"]


async def record_feeds(
    options: Sequence[RecordOptions],
    clock: Clock,
    stop: asyncio.Event,
    on_started: Callable[[list[FeedRecorder]], None] | None = None,
    keeping: Limit | None = None,
) -> list[Outcome]:
    """Record feeds side by side, each into a session of its own; the trouble of one never ends another.

    Args:
        options: One for each feed.
        clock: Where the time comes from.
        stop: Set it to seal everything and return.
        on_started: Told the recorders, whose ``state`` can be shown.
        keeping: What the sealed sessions of the same names may take, each library by itself; None keeps all.

    Returns:
        An outcome for each feed, in order.
    """
    recorders = [FeedRecorder(entry, clock) for entry in options]
    if on_started is not None:
        on_started(recorders)
    keepers = [asyncio.create_task(task) for task in _keepers(options, keeping, clock)]
    try:
        return await asyncio.gather(*(recorder.run(stop) for recorder in recorders))
    finally:
        for keeper in keepers:
            keeper.cancel()


def _keepers(
    options: Sequence[RecordOptions], keeping: Limit | None, clock: Clock
) -> Iterator[Coroutine[Any, Any, None]]:
    """Yield what holds each library within the limit."""
    if keeping is None:
        return
    for library in {entry.library for entry in options}:
        names = {entry.session_name for entry in options if entry.library == library}
        yield keep_within(library, names | {snapshot_name(name) for name in names}, keeping, clock)
