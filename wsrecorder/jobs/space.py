"""Ending a recording in order before the disk is full: what seals it needs room, too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wsrecorder.clock import Clock
from wsrecorder.core.size import show_bytes
from wsrecorder.errors import StorageError
from wsrecorder.store import disk

__all__ = ["FreeSpace", "refuse_full_disk", "until_low"]

_LOG: Final = logging.getLogger("wsrecorder.record")

_EVERY_NS: Final = 100_000_000


@dataclass(slots=True)
class FreeSpace:
    """How much is left where a recording goes.

    Attributes:
        least_bytes: What must stay free; 0 lets the disk fill.
        free_bytes: What was free when it was looked at last; None before that, or where the disk does not say.
    """

    least_bytes: int = 0
    free_bytes: int | None = None


def refuse_full_disk(path: Path, min_free_bytes: int) -> None:
    """Refuse to begin where the recording would have to end at once.

    Raises:
        StorageError: There is less left than must be.
    """
    if min_free_bytes and (free_bytes := disk.free_bytes(path)) < min_free_bytes:
        place = disk.nearest(path)
        where = _disk_of(path) if place == path else f"there is no {path} yet, and {_disk_of(place)}"
        raise _too_little(where, free_bytes, min_free_bytes, "nothing was recorded")


async def until_low(
    path: Path,
    space: FreeSpace,
    clock: Clock,
    free_bytes: Callable[[Path], int] = disk.free_bytes,
    outcome: str = "what was recorded is sealed",
) -> StorageError:
    """Return what to say once less is left than must be; at twice that a warning is logged.

    Args:
        path: Something on the disk.
        space: What must stay free, and takes what is.
        clock: Where the time comes from.
        outcome: What becomes of what was recorded, in words.
        free_bytes: Says how much is left; called on a thread, since a disk behind a network may take its time.
    """
    has_warned, min_free_bytes = False, space.least_bytes
    while True:
        try:
            space.free_bytes = left_bytes = await asyncio.to_thread(free_bytes, path)
        except StorageError:
            space.free_bytes, left_bytes = None, 1 << 62  # whoever writes will hear what is wrong with the disk
        if left_bytes < min_free_bytes:
            return _too_little(_disk_of(path), left_bytes, min_free_bytes, outcome)
        is_near = left_bytes < 2 * min_free_bytes
        if is_near and not has_warned:
            _LOG.warning(
                "%s has %s free; at %s the recording ends",
                _disk_of(path), show_bytes(left_bytes), show_bytes(min_free_bytes),
            )  # fmt: skip
        has_warned = is_near
        await clock.sleep_until(clock.now_ns() + _EVERY_NS)


def _disk_of(path: Path) -> str:
    return f"the disk of {path}"


def _too_little(where: str, left_bytes: int, min_free_bytes: int, outcome: str) -> StorageError:
    return StorageError(
        f"{where} has {show_bytes(left_bytes)} free, where --min-free asks for {show_bytes(min_free_bytes)}",
        hint=f'{outcome}; free some space ("wsrec prune" helps), or give a smaller --min-free',
    )
