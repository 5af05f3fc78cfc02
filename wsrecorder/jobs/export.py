"""Sessions become files for other tools.

A file gets its name when it is whole. A few thousand events are held at a time, whatever the size of
the session.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from wsrecorder.analysis.session import Session
from wsrecorder.errors import StorageError, UsageError
from wsrecorder.formats.registry import Format, choose_writer
from wsrecorder.jobs.placing import Placing
from wsrecorder.jobs.progress import OnProgress, Progress, unwatched
from wsrecorder.jobs.staging import staging
from wsrecorder.store import disk
from wsrecorder.store.library import new_id
from wsrecorder.store.manifest import Identity
from wsrecorder.store.schema import SCHEMA, iter_events
from wsrecorder.store.sink import DuckDbSink

__all__ = ["ExportOptions", "Exported", "export_session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What to export.

    Attributes:
        out: The file to be, or a binary stream, such as standard output.
        format: Its format, see ``docs/formats.md``; None is told by its name.
        start: First moment, as `Session.select` takes it; None is the beginning.
        end: First moment not wanted any more; None is the end.
        types: Only messages of these types; None is all events.
        exclude: No messages of these types.
        where: Only events for which this SQL expression is true, as `Session.batches` takes it; None is all.
        overwrite: Whether a file that is there is replaced.
    """

    out: Path | BinaryIO
    format: str | None = None
    start: str | None = None
    end: str | None = None
    types: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    where: str | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export made.

    Attributes:
        path: The file; None is the stream.
        format: Name of its format.
        events: Events in it.
        size_bytes: Size of the file; None for a stream.
        notes: What the format could not hold, a line each.
    """

    path: Path | None
    format: str
    events: int
    size_bytes: int | None
    notes: tuple[str, ...] = ()


def export_session(session: Session, options: ExportOptions, on_progress: OnProgress = unwatched) -> Exported:
    """Write a session, or a part of it, to a file or a stream; if that fails, no file is left.

    Raises:
        UsageError: The format cannot be told or exported, the file is there already, or the part is none.
        SessionError: The session cannot be read.
        StorageError: The disk refuses.
        OSError: The stream refuses: a closed pipe is its owner's matter.
    """
    out = options.out if isinstance(options.out, Path) else None
    form = choose_writer(out, options.format)
    if out is not None and out.is_dir():
        raise UsageError(f"{out} is a folder, expected a file", hint="name a file in it with -o")
    if out is not None and out.is_file() and not options.overwrite:
        raise UsageError(f"{out} is there already", hint="name another file with -o, or replace it with --overwrite")
    source = _Source(session, options, on_progress)
    notes: list[str] = []
    if form.is_session:
        _export_session_file(source, out)
    elif out is None:
        assert not isinstance(options.out, Path)
        notes = _write(form, source, options.out)
    elif out.exists() and not out.is_file():
        with _writing(out), out.open("wb") as device:  # a pipe or a device takes what comes; there is nothing to rename
            notes = _write(form, source, device)
    else:
        notes = _export_file(form, source, out)
    size_bytes = out.stat().st_size if out is not None and out.is_file() else None
    return Exported(out, form.name, source.events, size_bytes, tuple(notes))


class _Source:
    """The part of a session that is exported, read once, a batch at a time.

    Attributes:
        manifest: Of the session.
        events: Events read so far.
        is_whole: Whether nothing is left out.
    """

    def __init__(self, session: Session, options: ExportOptions, on_progress: OnProgress) -> None:
        self.manifest = session.store.manifest()
        self.events = 0
        left = (options.start, options.end, options.types, options.where)
        self.is_whole = left == (None, None, None, None) and not options.exclude
        self._on_progress = on_progress
        self._batches = session.batches(
            start=options.start, end=options.end, types=options.types, exclude=options.exclude, where=options.where
        )

    def batches(self) -> Iterator[Any]:
        """Yield the record batches wanted."""
        for batch in self._batches:
            yield batch
            self.events += len(batch)
            done = batch.column("seq")[-1].as_py() + 1
            self._on_progress(Progress(self.events, min(1.0, done / max(1, self.manifest.events))))


def _write(form: Format, source: _Source, out: BinaryIO) -> list[str]:
    assert form.write is not None
    return form.write(source.batches(), out, SCHEMA.with_metadata(source.manifest.identity.to_metadata()))


def _export_file(form: Format, source: _Source, out: Path) -> list[str]:
    with _in_folder_of(out) as folder:
        path = folder / out.name
        with _writing(out), path.open("xb", buffering=1 << 20) as file:
            notes = _write(form, source, file)
            disk.sync(file)
        disk.publish(path, out)
    return notes


def _export_session_file(source: _Source, out: Path | None) -> None:
    """Write a session of its own: numbers without holes, and its own beginning."""
    if out is None:
        raise UsageError("a DuckDB file cannot be written to a stream", hint="name a file with -o NAME.duckdb")
    if out.suffix != ".duckdb":
        raise UsageError(f"{out} would not be found again as a session", hint="name it NAME.duckdb")
    batches = source.batches()
    identity = source.manifest.identity
    if not source.is_whole:
        identity, batches = _part_of(identity, batches)
    with _in_folder_of(out) as folder:
        sink = DuckDbSink(folder / out.name, identity)
        try:
            for batch in batches:
                sink.append(batch)
            sink.close(source.manifest.health)
        except BaseException:
            sink.abandon()
            raise
        disk.publish(sink.path, out)


def _part_of(identity: Identity, batches: Iterable[Any]) -> tuple[Identity, Iterator[Any]]:
    parts = (list(iter_events(batch)) for batch in batches)
    first = next(parts, None)
    if first is None:
        return identity, iter(())
    placing = Placing(first[0])
    # Ids are unique: this is another session, however much of the old one it holds.
    part_id = f"{new_id(identity.name, placing.started_ns)}-part"
    identity = msgspec.structs.replace(identity, id=part_id, started_ns=placing.started_ns)
    return identity, map(placing.rows, chain((first,), parts))


@contextmanager
def _in_folder_of(out: Path) -> Iterator[Path]:
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent}", hint="make it first, or name another file with -o")
    with staging(out.parent) as folder:
        yield folder


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StorageError(
            f"cannot write {out}: {exc.strerror or exc}", hint="name another place with -o, or free some space"
        ) from exc
