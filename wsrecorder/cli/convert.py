"""``wsrec import | export``: other tools' files become sessions, and sessions become files."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsrecorder.cli.app import app
from wsrecorder.cli.options import Json, LibraryOption, split_words
from wsrecorder.cli.output import print_json, say, show_bytes, show_number
from wsrecorder.cli.progress import progress_bar
from wsrecorder.cli.selecting import Exclude, From, SessionArgument, To, Types, Where, find_session, wanted_events
from wsrecorder.core.dialect import ENGINE, TS_UNITS, Dialect
from wsrecorder.errors import UsageError
from wsrecorder.store.place import label

if TYPE_CHECKING:
    from wsrecorder.jobs.convert import Imported
    from wsrecorder.jobs.export import Exported

__all__ = ["export", "import_files"]


@app.command("import", epilog="Example: wsrec import BINANCE.ws.0.0 --name binance --ts-path E")
def import_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Files, one session each.")],
    library: LibraryOption = Path("recordings"),
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="cryptofeed, jsonl, payloads, csv, parquet, har, mcap or mitmproxy; else told by name or first line.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the session; by default the file's.")] = None,
    into: Annotated[
        Path | None, typer.Option(metavar="NAME.duckdb", help="Import into a new DuckDB file instead of Parquet.")
    ] = None,
    path: Annotated[str, typer.Option(help="Path at which a replay serves the session.")] = "/ws/",
    type_path: Annotated[str | None, typer.Option(metavar="PATH", help="Where a message's type is: data.e.")] = None,
    ts_path: Annotated[str | None, typer.Option(metavar="PATH", help="Where the sender's time stamp is.")] = None,
    ts_unit: Annotated[str | None, typer.Option(help=f"Its unit: {', '.join(TS_UNITS)}.")] = None,
    heartbeat_type: Annotated[str | None, typer.Option(help="Type of the feed's heartbeats; empty for none.")] = None,
    as_json: Json = False,
) -> int:
    """Make a session of each file: JSON lines, bare payloads, HAR, MCAP, flows of mitmproxy, captures of cryptofeed.

    All or nothing: a file that cannot be read to its end leaves no session.
    """
    from wsrecorder.jobs.convert import ImportOptions, import_file

    if into is not None and len(files) > 1:
        raise UsageError(f"--into takes one file, found {len(files)}", hint="import each file into one of its own")
    dialect = _dialect(type_path, ts_path, ts_unit, heartbeat_type)
    for file in files:
        options = ImportOptions(
            file=file, format=form, library=library, name=name, into=into, path=path, dialect=dialect,
            tool=f"wsrecorder {version('wsrecorder')}",
        )  # fmt: skip
        with progress_bar(f"importing {file.name}") as show:
            imported = import_file(options, lambda done: show(done.events, done.share))
        _report_import(file, imported, as_json=as_json)
    return 0


def _dialect(type_path: str | None, ts_path: str | None, ts_unit: str | None, heartbeat: str | None) -> Dialect | None:
    """Return how envelopes are read; None leaves what the file itself says."""
    if (type_path, ts_path, ts_unit, heartbeat) == (None, None, None, None):
        return None
    return Dialect(
        name="own",
        type_path=type_path or ENGINE.type_path,
        ts_path=ts_path or ENGINE.ts_path,
        ts_unit=ts_unit or ENGINE.ts_unit,
        heartbeat_type=ENGINE.heartbeat_type if heartbeat is None else heartbeat or None,
    )


def _report_import(file: Path, imported: Imported, *, as_json: bool) -> None:
    facts = imported.manifest
    for note in imported.notes:
        say(f"{file.name}: {note}")
    if as_json:
        print_json(
            {
                "id": facts.identity.id,
                "path": str(imported.path),
                "file": str(file),
                "format": imported.format,
                "events": facts.events,
                "messages": facts.messages,
                "bytes": facts.size_bytes,
                "duration_s": facts.last_elapsed_ns / 1e9,
                "types": facts.types,
                "notes": imported.notes,
            }
        )
    else:
        say(
            f"imported {show_number(facts.messages, 'message')} ({show_bytes(facts.size_bytes)}) over "
            f"{facts.last_elapsed_ns / 1e9:.1f} s from {file} into {imported.path}"
        )


@app.command(epilog="Example: wsrec export latest -o signals.csv --types SIGNAL")
def export(
    session: SessionArgument,
    library: LibraryOption = Path("recordings"),
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="The new file; - is standard output.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", help="jsonl, csv, parquet, duckdb, har, mcap, mitmproxy or cryptofeed; else told by its name."
        ),
    ] = None,
    start: From = None,
    end: To = None,
    types: Types = None,
    exclude: Exclude = None,
    where: Where = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
    as_json: Json = False,
) -> int:
    """Write a session, or a part of it, to a file: JSON lines, CSV, Parquet, DuckDB, HAR, MCAP, flows.

    All or nothing: no file is left that is not whole.
    """
    from wsrecorder.jobs.export import ExportOptions, export_session

    wanted_events(types, exclude)  # refuses a contradiction
    only, but = split_words(types), split_words(exclude)
    options = ExportOptions(
        out=_target(out, form, as_json=as_json),
        format=form,
        start=start,
        end=end,
        types=None if only is None else tuple(sorted(only)),
        exclude=tuple(sorted(but or ())),
        where=where,
        overwrite=overwrite,
    )
    found = find_session(session, library)
    with progress_bar(f"exporting {label(found.path)}") as show:
        exported = export_session(found, options, lambda done: show(done.events, done.share))
    _report_export(exported, as_json=as_json)
    return 0


def _target(out: Path | None, form: str | None, *, as_json: bool) -> Any:
    if out is not None and str(out) != "-":
        return out
    if as_json:
        raise UsageError("--json would mix with the events on standard output", hint="write those to a file with -o")
    if form in ("parquet", "mcap", "mitmproxy") and sys.stdout.isatty():
        raise UsageError(f"a {form} file is nothing to look at", hint="write it to a file with -o")
    return sys.stdout.buffer


def _report_export(exported: Exported, *, as_json: bool) -> None:
    for note in exported.notes:
        say(f"{exported.format}: {note}")
    if as_json:
        print_json(
            {
                "path": None if exported.path is None else str(exported.path),
                "format": exported.format,
                "events": exported.events,
                "bytes": exported.size_bytes,
                "notes": exported.notes,
            }
        )
    else:
        size = "" if exported.size_bytes is None else f" ({show_bytes(exported.size_bytes)})"
        place = exported.path or "standard output"
        say(f"exported {show_number(exported.events, 'event')} as {exported.format} to {place}{size}")
