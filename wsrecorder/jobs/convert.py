"""Other tools' files become sessions, and (in `export`) sessions become files for other tools.

All or nothing: a session gets its name when it is whole. A few thousand events are held at a time,
whatever the size of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from wsrecorder.core.credentials import redact_url
from wsrecorder.core.dialect import ENGINE, Dialect
from wsrecorder.core.event import Event, Kind
from wsrecorder.errors import SessionError, UsageError
from wsrecorder.formats.lines import Lines
from wsrecorder.formats.registry import Reader, choose_reader, session_name
from wsrecorder.jobs.export import Exported, ExportOptions, export_session
from wsrecorder.jobs.new_session import Target, free_id, on_disk, publish, sink_for
from wsrecorder.jobs.placing import Placing
from wsrecorder.jobs.progress import OnProgress, Progress, unwatched
from wsrecorder.jobs.staging import staging
from wsrecorder.store.library import safe_name
from wsrecorder.store.manifest import Health, Identity, Manifest
from wsrecorder.store.place import Place

__all__ = [
    "ExportOptions",
    "Exported",
    "ImportOptions",
    "Imported",
    "export_session",
    "import_file",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What to import.

    Attributes:
        file: The file.
        format: Its format, see ``docs/formats.md``; None is told by its name or its first line.
        library: Folder of sessions, for a Parquet session.
        name: A word for people; None takes the file's name.
        into: A new DuckDB file instead of a folder in the library, or None.
        path: Path at which a replay serves the session.
        dialect: How envelopes are read; None is the engine's, and types and time stamps that the file
            itself holds are kept.
        tool: Name and version of this program, for the manifest.
    """

    file: Path
    format: str | None = None
    library: Place = Path("recordings")
    name: str | None = None
    into: Path | None = None
    path: str = "/ws/"
    dialect: Dialect | None = None
    tool: str = "wsrecorder"


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import made.

    Attributes:
        manifest: Of the new session.
        path: Where it is.
        format: Name of the file's format.
        notes: What should be said of the file, a line each; a last line that was cut short among them.
    """

    manifest: Manifest
    path: Place
    format: str
    notes: tuple[str, ...]


def import_file(options: ImportOptions, on_progress: OnProgress = unwatched) -> Imported:
    """Make a session of a file; if that fails, nothing is left of it.

    Raises:
        UsageError: There is no such file, or its format cannot be told or imported.
        SessionError: The file cannot be read; the message names the line.
        StorageError: The disk refuses.
    """
    with _open(options.file) as file:
        form = choose_reader(options.file, options.format, file.peek(4_096))
        assert form.read is not None
        size_bytes = options.file.stat().st_size
        lines = Lines(file, str(options.file))
        reader = form.read(lines, options.dialect, redact_url)
        batches = _full_batches(reader, options.file)
        first = next(batches, None)
        if first is None:
            raise SessionError(
                f"{options.file} holds no event" if lines.read_bytes else f"{options.file} is empty",
                hint=f"expected a file in the format {form.name}; docs/formats.md describes it",
            )
        placing = Placing(first[0])
        place = Target(library=options.library, into=options.into)
        identity = _identity(options, place, reader.feed, placing.started_ns)
        with staging(on_disk(place)) as folder:
            target, sink = sink_for(place, identity, folder)
            try:
                for events in chain((first,), batches):
                    sink.append(placing.rows(events))
                    # Of a pipe no size is known.
                    share = min(1.0, lines.read_bytes / size_bytes) if size_bytes else None
                    on_progress(Progress(sink.tally.events, share))
                manifest = sink.close(Health(gaps=sink.tally.kinds[Kind.GAP]))
            except BaseException:
                sink.abandon()
                raise
            publish(sink.on_disk, target, manifest)
        return Imported(manifest, target, form.name, (*reader.notes, *placing.notes()))


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}", hint="check the name; it is taken from where you are") from None
    except IsADirectoryError:
        raise UsageError(
            f"{path} is a folder, expected a file", hint="a session needs no import: name it where it is"
        ) from None
    except OSError as exc:
        raise SessionError(f"cannot read {path}: {exc.strerror}", hint="check who may read it") from exc
    with file:
        yield file


def _full_batches(reader: Reader, path: Path) -> Iterator[list[Event]]:
    try:
        yield from filter(None, reader.batches())
    except OSError as exc:
        raise SessionError(f"cannot read {path}: {exc.strerror}", hint="check the disk that it is on") from exc


def _identity(options: ImportOptions, place: Target, feed: str, started_ns: int) -> Identity:
    name = safe_name(options.name or session_name(options.into or options.file))
    return Identity(
        id=free_id(place, name, started_ns),
        name=name,
        feed=feed or options.file.name,
        path=options.path,
        dialect=options.dialect or ENGINE,
        started_ns=started_ns,
        tool=options.tool,
    )
