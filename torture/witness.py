"""What stands on the disk, read without the recorder's own code: by Arrow, Parquet and DuckDB alone.

It follows docs/format.md, so that a fault in the readers under trial cannot hide itself.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import ipc

__all__ = ["events_on_disk"]


def events_on_disk(path: Path, scratch: Path) -> int:
    """Return how many events stand on the disk whole: in a segment, in a whole batch of a journal, or committed.

    Args:
        path: The session: its folder, or its DuckDB file; nobody may change it meanwhile.
        scratch: A new folder for a copy of the DuckDB file.
    """
    if path.suffix == ".duckdb":
        return _rows_committed(path, scratch)
    events = 0
    folder = path / "events"
    number = 0
    while True:
        segment, journal = folder / f"{number:06d}.parquet", folder / f"{number:06d}.journal"
        if segment.exists():
            events += pq.read_metadata(segment).num_rows
        elif journal.exists():
            events += _rows_in_whole_batches(journal)
        else:
            return events
        number += 1


def _rows_in_whole_batches(journal: Path) -> int:
    rows = 0
    with pa.OSFile(str(journal), "rb") as file:
        try:
            stream = ipc.open_stream(file)
            while True:
                rows += len(stream.read_next_batch())
        except (pa.ArrowException, OSError, StopIteration):
            return rows


def _rows_committed(path: Path, scratch: Path) -> int:
    import duckdb

    if not path.exists():
        return 0
    scratch.mkdir()
    copy = scratch / path.name
    shutil.copyfile(path, copy)
    log = path.with_name(path.name + ".wal")
    if log.exists():
        shutil.copyfile(log, copy.with_name(log.name))
    try:
        with duckdb.connect(str(copy), read_only=True) as connection:
            found = connection.execute("SELECT count(*) FROM events").fetchone()
    except duckdb.Error:
        return 0  # its table is not there yet
    return int(found[0]) if found else 0
