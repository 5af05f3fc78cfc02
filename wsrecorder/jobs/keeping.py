"""Retention while recording: old sessions of the names that are recorded go, as ``wsrec prune`` would have them go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Final

from wsrecorder.clock import Clock
from wsrecorder.core.retention import Limit
from wsrecorder.core.size import show_bytes
from wsrecorder.errors import SessionError
from wsrecorder.jobs.prune import plan, prune
from wsrecorder.store.place import Place

__all__ = ["keep_within", "prune_once"]

_LOG: Final = logging.getLogger("wsrecorder.record")

_EVERY_NS: Final = 600_000_000_000


async def keep_within(library: Place, names: Collection[str], limit: Limit, clock: Clock) -> None:
    """Hold the sessions of some names within a limit: now, and every ten minutes until cancelled.

    Args:
        library: Folder of sessions.
        names: Whose sessions; those of other names neither go nor count.
        limit: What they may take.
        clock: Where the time comes from.
    """
    while True:
        # Off the loop: frames are stamped there.
        await asyncio.to_thread(prune_once, library, names, limit, clock.wall_ns())
        await clock.sleep_until(clock.now_ns() + _EVERY_NS)


def prune_once(library: Place, names: Collection[str], limit: Limit, now_ns: int) -> list[str]:
    """Remove what has had its time, log it, and return it; trouble is logged and ends no recording.

    Args:
        library: Folder of sessions.
        names: Whose sessions.
        limit: What they may take.
        now_ns: UTC ns since the epoch.
    """
    try:
        done = prune(library, plan(library, limit, now_ns, names))
    except SessionError as exc:
        _LOG.warning("old sessions cannot be removed: %s", exc.message)
        return []
    for error in done.errors:
        _LOG.warning("an old session stays: %s", error.message)
    if done.removed:
        _LOG.info("removed %s, %s", ", ".join(done.removed), show_bytes(done.freed_bytes))
    return done.removed
