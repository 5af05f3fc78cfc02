"""Sessions removed for real, as ``wsrec prune`` does it, with every step of their disk."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from torture.recorded import LIBRARY, Recorded, batch_of
from torture.tape import Tape
from wsrecorder.core.recorder import Limits
from wsrecorder.store.library import Library
from wsrecorder.store.manifest import Health, Identity
from wsrecorder.store.notes import NoteBook
from wsrecorder.store.removal import remove_session
from wsrecorder.store.sink import DuckDbSink, ParquetSink, Sink

__all__ = ["removed"]

_BATCHES: Final = 5
_ROWS: Final = 20


def removed(form: str, root: Path) -> Recorded:
    """Make a sealed session with a note, remove it, and return what its disk took.

    Args:
        form: ``parquet`` or ``duckdb``.
        root: A new folder; the library will be in it.
    """
    path, sink = _sink(form, root / LIBRARY)
    for number in range(_BATCHES):
        sink.append(batch_of(number * _ROWS, _ROWS))
    sink.close(Health())
    NoteBook(path).add("here", elapsed_ns=0, received_ns=0, made_at_ns=0)
    tape = Tape(root)
    with tape.recording():
        remove_session(path)
    return Recorded(tape.before, tape.steps)


def _sink(form: str, library: Path) -> tuple[Path, Sink]:
    if form == "duckdb":
        path = library / "p.duckdb"
        return path, DuckDbSink(path, Identity(id="p", name="p"))
    session_id, path = Library(library).create("p", 0)
    return path, ParquetSink(path, Identity(id=session_id, name="p"), Limits(segment_bytes=4_000))
