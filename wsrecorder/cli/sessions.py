"""``wsrec ls | info | cat | tail``: sessions, one session, its events, a growing one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from wsrecorder.cli.app import app
from wsrecorder.cli.black_box_options import asked_again, why_written
from wsrecorder.cli.event_lines import EventLines, JsonLines, PayloadLines, ReadableLines
from wsrecorder.cli.options import Json, LibraryOption
from wsrecorder.cli.output import print_json, print_lines, say, show_bytes, show_count, show_duration
from wsrecorder.cli.selecting import Exclude, From, SessionArgument, To, Types, Where, find_session, wanted_events
from wsrecorder.cli.table import output_width, table_lines
from wsrecorder.errors import SessionError, SessionNotFound, UsageError
from wsrecorder.store.place import Place, label

if TYPE_CHECKING:
    from wsrecorder.analysis.session import Session, SessionInfo

__all__ = ["cat", "info", "ls", "tail"]

_Payload = Annotated[bool, typer.Option("--payload", help="Only the payloads of text frames, verbatim, one a line.")]
_JsonEvents = Annotated[bool, typer.Option("--json", help="Whole events as JSON, one a line; binary as base64.")]

_MOST_TYPES: Final = 20
_AT_A_TIME: Final = 16


@app.command(epilog="Example: wsrec ls --library recordings")
def ls(library: LibraryOption = Path("recordings"), as_json: Json = False) -> int:
    """List the sessions of a library, the oldest first; with --json an object a line.

    A session that cannot be read is listed with what is wrong with it.
    """
    from wsrecorder.store.ring import left_rings

    found = sorted(_infos(library), key=lambda entry: _id(*entry))
    if as_json:
        for _, entry in found:
            print_json(entry if isinstance(entry, dict) else entry.to_dict())
    elif found:
        rows = [_row(path, entry) for path, entry in found]
        columns = ("session", "start (UTC)", "duration", "messages", "payload", "state")
        print_lines(table_lines(columns, rows, right=(2, 3, 4), whole=[0], width=output_width()))
    else:
        say(f'library {library} holds no session; "wsrec record URL" makes one')
    for path, entry in found:
        if isinstance(entry, dict) and not as_json:
            say(f"{label(path)}: {entry['error']['message']}")
    if not as_json and (rings := left_rings(library)):
        found_word = "a black box was" if len(rings) == 1 else f"{len(rings)} black boxes were"
        say(f'{found_word} killed here; "wsrec recover --all" makes sessions of what they held')
    return 0


def _infos(library: Place) -> Iterator[tuple[Place, SessionInfo | dict[str, Any]]]:
    """Yield the facts of each session, or what is wrong with it."""
    from wsrecorder.store.library import Library

    paths = Library(library).paths()
    if isinstance(library, Path):
        yield from ((path, found) for path, found in zip(paths, map(_info, paths), strict=True) if found)
        return
    # Each is a request, and most of its time is spent on the way.
    with ThreadPoolExecutor(_AT_A_TIME) as readers:
        yield from ((path, found) for path, found in zip(paths, readers.map(_info, paths), strict=True) if found)


def _info(path: Place) -> SessionInfo | dict[str, Any] | None:
    """Return the facts of a session, or what is wrong with it; None where it went away meanwhile."""
    from wsrecorder.analysis.session import open_session

    try:
        return open_session(path.absolute()).info
    except SessionNotFound:
        return None
    except SessionError as exc:
        error = {"message": exc.message, "hint": exc.hint}
        return {"id": label(path), "path": str(path), "state": "damaged", "error": error}


def _id(path: Place, entry: SessionInfo | dict[str, Any]) -> str:
    # It begins with the time; the name of a DuckDB file need not.
    return label(path) if isinstance(entry, dict) else entry.id


def _row(path: Place, entry: SessionInfo | dict[str, Any]) -> tuple[str, ...]:
    if isinstance(entry, dict):
        return label(path), "", "", "", "", "damaged"
    # A DuckDB file is found by its name, not by the id within.
    name = path.name if isinstance(path, Path) and path.is_file() else entry.id
    duration = show_duration(round(entry.duration_s * 1e9))
    size = show_bytes(entry.bytes)
    return name, entry.start[:16].replace("T", " "), duration, show_count(entry.messages), size, entry.state


@app.command(epilog="Example: wsrec info latest --json")
def info(session: SessionArgument, library: LibraryOption = Path("recordings"), as_json: Json = False) -> int:
    """Show the facts of a session: where it came from, what it holds, how its recording fared."""
    facts = find_session(session, library).info
    if as_json:
        print_json(facts.to_dict())
        return 0
    rows = _facts(facts)
    width = max(len(name) for name, _ in rows)
    print_lines(f"{name:<{width}}  {value}" for name, value in rows)
    return 0


def _facts(facts: SessionInfo) -> list[tuple[str, str]]:
    health = facts.health
    most = list(facts.types.items())[:_MOST_TYPES]
    size = max((len(name) for name, _ in most), default=0)
    types = [f"{name:<{size}}  {show_count(count):>9}" for name, count in most]
    if len(facts.types) > _MOST_TYPES:
        types.append(f"and {len(facts.types) - _MOST_TYPES} more; --json has them all")
    return [
        ("session", facts.id),
        ("feed", facts.feed or "unknown"),
        ("path", facts.path),
        *([("continues", facts.continues)] if facts.continues else []),
        *([("black box", why_written(facts.black_box))] if facts.black_box else []),
        *(("again", line) for line in (asked_again(facts.black_box) if facts.black_box else ())),
        ("start", facts.start),
        ("end", facts.end),
        ("duration", show_duration(round(facts.duration_s * 1e9))),
        ("events", f"{show_count(facts.events)}, {show_count(facts.messages)} of them messages"),
        ("payload", f"{show_bytes(facts.bytes)}, {show_bytes(facts.bytes_on_disk)} on disk"),
        ("connections", show_count(facts.connections)),
        ("gaps", show_count(facts.gaps)),
        ("segments", str(facts.segments)),
        ("state", {"cut": 'cut: "wsrec recover" seals it'}.get(facts.state, facts.state)),
        ("recorder", f"longest stall {health.longest_stall_ms:.1f} ms, paused {health.paused_ms:.0f} ms"),
        ("made by", f"{facts.tool or 'unknown'} on {facts.host or 'unknown'}, format {facts.format_version}"),
        *zip(["types", *[""] * len(types)], types, strict=False),
    ]


@app.command(epilog="Example: wsrec cat latest --types SIGNAL,ORDER_PLACED --from -10m")
def cat(
    session: SessionArgument,
    library: LibraryOption = Path("recordings"),
    start: From = None,
    end: To = None,
    types: Types = None,
    exclude: Exclude = None,
    where: Where = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=0, help="No more events than this.")] = None,
    payload: _Payload = False,
    as_json: _JsonEvents = False,
) -> int:
    """Print the events of a session, a line each: number, time (UTC), time since its beginning, type, payload.

    On a terminal payloads are cut to its width. Binary frames are shown in hexadecimal.
    """
    lines = _lines(payload=payload, as_json=as_json)
    found = find_session(session, library)
    batches = found.batches(start=start, end=end, **wanted_events(types, exclude, where))
    for batch in _first(batches, limit):
        sys.stdout.buffer.write(lines.encode(batch))
    sys.stdout.buffer.flush()
    lines.end()
    return 0


@app.command(epilog="Example: wsrec tail latest --follow --types SIGNAL")
def tail(
    session: SessionArgument,
    library: LibraryOption = Path("recordings"),
    count: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many events.")] = 10,
    is_following: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until the recording ends or Ctrl-C.")
    ] = False,
    types: Types = None,
    exclude: Exclude = None,
    where: Where = None,
    payload: _Payload = False,
    as_json: _JsonEvents = False,
) -> int:
    """Print the last events of a session, and follow one that is being recorded."""
    from wsrecorder.jobs.follow import last_seq

    lines = _lines(payload=payload, as_json=as_json)
    found = find_session(session, library)
    wanted = wanted_events(types, exclude, where)
    wanted["from_seq"] = last_seq(found, count, **wanted)
    if is_following:
        _follow(found, lines, wanted)
    elif count:
        for batch in found.batches(**wanted):
            sys.stdout.buffer.write(lines.encode(batch))
    sys.stdout.buffer.flush()
    lines.end()
    return 0


def _lines(*, payload: bool, as_json: bool) -> EventLines:
    if payload and as_json:
        raise UsageError("--payload and --json exclude each other", hint="give one of them")
    return PayloadLines() if payload else JsonLines() if as_json else ReadableLines(output_width())


def _first(batches: Iterable[Any], limit: int | None) -> Iterator[Any]:
    """Yield as many events as were asked for, in batches."""
    if limit is None:
        yield from batches
        return
    left = limit
    iterator = iter(batches)
    while left and (batch := next(iterator, None)) is not None:
        yield batch.slice(0, left)
        left -= min(left, len(batch))


def _follow(session: Session, lines: EventLines, wanted: dict[str, Any]) -> None:
    from wsrecorder.cli.running import run_until_stopped
    from wsrecorder.clock import SystemClock
    from wsrecorder.jobs.follow import follow

    async def run(stop: asyncio.Event) -> None:
        async for batch in follow(session, SystemClock(), stop, **wanted):
            sys.stdout.buffer.write(lines.encode(batch))
            sys.stdout.buffer.flush()

    run_until_stopped(run)
