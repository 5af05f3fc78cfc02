"""The write-ahead log beside a DuckDB file."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from wsrecorder.errors import SegmentDamaged
from wsrecorder.store import disk

__all__ = ["cut_log", "log_of"]


def log_of(path: Path) -> Path:
    """Return where DuckDB keeps the write-ahead log of a file."""
    return path.with_name(path.name + ".wal")


def cut_log(path: Path, damage: SegmentDamaged) -> Path | None:
    """Cut a write-ahead log where DuckDB found it damaged; all of it is kept aside.

    Args:
        path: The session's file.
        damage: What opening it said.

    Returns:
        Where the whole log is kept; None when it is not the log that is damaged.
    """
    log = log_of(path)
    place = re.search(r"at byte position (\d+)", damage.message)
    if place is None or "WAL" not in damage.message or not log.exists():
        return None
    kept = log.with_name(log.name + ".cut")
    with disk.storage_errors(log):
        with log.open("rb") as file, disk.create(kept) as copy:
            shutil.copyfileobj(file, copy)
            disk.sync(copy)
        disk.sync_directory(kept.parent)  # nothing is cut off before it is there for good
        with log.open("r+b") as file:
            file.truncate(int(place[1]))
            disk.sync(file)
    return kept
