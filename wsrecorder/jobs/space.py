"""Ending a recording in order before the disk is full: what seals it needs room, too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from wsrecorder.clock import Clock
from wsrecorder.errors import StorageError
from wsrecorder.store import disk

__all__ = ["refuse_full_disk", "until_low"]

_LOG: Final = logging.getLogger("wsrecorder.record")

_EVERY_NS: Final = 100_000_000
_MIB: Final = 1 << 20


def refuse_full_disk(path: Path, min_free_bytes: int) -> None:
    """Refuse to begin where the recording would have to end at once.

    Raises:
        StorageError: There is less left than must be.
    """
    if min_free_bytes and (free_bytes := disk.free_bytes(path)) < min_free_bytes:
        raise _too_little(path, free_bytes, min_free_bytes, "nothing was recorded")


async def until_low(
    path: Path,
    min_free_bytes: int,
    clock: Clock,
    free_bytes: Callable[[Path], int] = disk.free_bytes,
    outcome: str = "what was recorded is sealed",
) -> StorageError:
    """Return what to say once less than ``min_free_bytes`` is left; at twice that a warning is logged.

    Args:
        path: Something on the disk.
        min_free_bytes: What must stay free, bytes.
        clock: Where the time comes from.
        outcome: What becomes of what was recorded, in words.
        free_bytes: Says how much is left; called on a thread, since a disk behind a network may take its time.
    """
    has_warned = False
    while True:
        try:
            left_bytes = await asyncio.to_thread(free_bytes, path)
        except StorageError:
            left_bytes = 1 << 62  # whoever writes will hear what is wrong with the disk
        if left_bytes < min_free_bytes:
            return _too_little(path, left_bytes, min_free_bytes, outcome)
        is_near = left_bytes < 2 * min_free_bytes
        if is_near and not has_warned:
            _LOG.warning(
                "the disk of %s has %.1f MiB free; at %.1f MiB the recording ends",
                path, left_bytes / _MIB, min_free_bytes / _MIB,
            )  # fmt: skip
        has_warned = is_near
        await clock.sleep_until(clock.now_ns() + _EVERY_NS)


def _too_little(path: Path, left_bytes: int, min_free_bytes: int, outcome: str) -> StorageError:
    return StorageError(
        f"the disk of {path} has {left_bytes / _MIB:.1f} MiB free, and --min-free asks for {min_free_bytes / _MIB:.1f}",
        hint=f'{outcome}; free some space ("wsrec prune" helps), or give a smaller --min-free',
    )
