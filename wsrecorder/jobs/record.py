"""Record one or more feeds, each into a session of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

from wsrecorder.clock import Clock
from wsrecorder.core.retention import Limit
from wsrecorder.errors import OwnMistake
from wsrecorder.jobs.feed_recorder import FeedRecorder
from wsrecorder.jobs.keeping import keep_within
from wsrecorder.jobs.mishaps import Mishaps
from wsrecorder.jobs.record_options import Outcome, RecordOptions
from wsrecorder.jobs.snapshot import snapshot_name
from wsrecorder.jobs.spooling import Leftovers
from wsrecorder.store.place import ObjectPath
from wsrecorder.store.spool import spool_folder

__all__ = ["record_feeds"]


async def record_feeds(
    options: Sequence[RecordOptions],
    clock: Clock,
    stop: asyncio.Event,
    on_started: Callable[[list[FeedRecorder]], None] | None = None,
    keeping: Limit | None = None,
    mishaps: Mishaps | None = None,
) -> list[Outcome]:
    """Record feeds side by side, each into a session of its own; the trouble of one never ends another.

    Args:
        options: One for each feed.
        clock: Where the time comes from.
        stop: Set it to seal everything and return.
        on_started: Told the recorders, whose ``state`` can be shown.
        keeping: What the sealed sessions of the same names may take, each library by itself; None keeps all.
        mishaps: Takes the errors of our own making.

    Returns:
        An outcome for each feed, in order.
    """
    mishaps = mishaps or Mishaps()
    # Alone, a feed that cannot be reached is an error at once; beside others it is waited for.
    recorders = [FeedRecorder(entry, clock, mishaps, is_patient=len(options) > 1) for entry in options]
    if on_started is not None:
        with mishaps.contain("panel", "recording goes on"):
            on_started(recorders)
    spools = {spool_folder(entry.spool) for entry in options if isinstance(entry.library, ObjectPath)}
    leftovers = [Leftovers(spool) for spool in spools]
    keepers = [asyncio.create_task(task) for task in _keepers(options, keeping, clock)]
    for keeper in keepers:
        mishaps.watch(keeper, "retention", "nothing more is removed, recording goes on")
    try:
        return await asyncio.gather(*(_run(recorder, stop, mishaps, recorders) for recorder in recorders))
    finally:
        for keeper in keepers:
            keeper.cancel()
        for left in leftovers:
            await asyncio.to_thread(left.end)


def _keepers(
    options: Sequence[RecordOptions], keeping: Limit | None, clock: Clock
) -> Iterator[Coroutine[Any, Any, None]]:
    """Yield what holds each library within the limit."""
    if keeping is None:
        return
    for library in {entry.library for entry in options}:
        names = {entry.session_name for entry in options if entry.library == library}
        yield keep_within(library, names | {snapshot_name(name) for name in names}, keeping, clock)


async def _run(
    recorder: FeedRecorder, stop: asyncio.Event, mishaps: Mishaps, all_of_them: Sequence[FeedRecorder]
) -> Outcome:
    try:
        outcome = await recorder.run(stop)
        if outcome.error is None and all(
            other.reaching.refusal or other.state.status == "ended" for other in all_of_them
        ):
            for other in all_of_them:  # nobody is left but those who wait for feeds that never came
                other.give_up()
        return outcome
    except Exception as exc:  # in the ending itself: the others have to be sealed all the same
        mishaps.note("feed", exc, f"{recorder.shown_url} has ended")
        path = recorder.state.path
        hint = "the log has a traceback, please report it" + (
            f'; "wsrec recover {path}" seals the session' if path else ""
        )
        return Outcome(None, path, OwnMistake(f"the recording of {recorder.shown_url} was ended", exc, hint=hint))
