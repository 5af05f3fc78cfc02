"""``wsrec merge``: several sessions as one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsrecorder.cli.app import app
from wsrecorder.cli.making import Into, Name, report_made, target_of
from wsrecorder.cli.options import Json, LibraryOption
from wsrecorder.cli.output import say, show_count, show_number
from wsrecorder.cli.progress import progress_bar
from wsrecorder.cli.selecting import find_session

if TYPE_CHECKING:
    from wsrecorder.jobs.merge import Merged

__all__ = ["merge"]


@app.command(epilog="Example: wsrec merge recorder-a recorder-b --same-feed --name whole")
def merge(
    sessions: Annotated[
        list[str], typer.Argument(metavar="SESSION…", help="Paths, ids, unique prefixes of ids, names.")
    ],
    library: LibraryOption = Path("recordings"),
    same_feed: Annotated[
        bool,
        typer.Option("--same-feed", help="They are recordings of one feed: fill each other's gaps, double nothing."),
    ] = False,
    name: Name = None,
    into: Into = None,
    as_json: Json = False,
) -> int:
    """Make one session of several: all their events by time; with --same-feed, what several saw is kept once.

    All or nothing. With --same-feed, exits 6 if messages could not be placed with certainty.
    """
    from wsrecorder.jobs.merge import MergeOptions
    from wsrecorder.jobs.merge import merge as run_merge

    found = [find_session(session, library) for session in sessions]
    options = MergeOptions(target=target_of(library, name, into), same_feed=same_feed)
    with progress_bar(f"merging {show_number(len(found), 'session')}") as show:
        merged = run_merge(found, options, lambda done: show(done.events, done.share))
    rows = _sources(merged)
    if not as_json:
        for row in rows:
            _say_source(row)
    report_made(merged.made, "merged", as_json=as_json, sources=rows, **_outcome(merged))
    if not as_json and merged.shares is not None:
        _say_outcome(merged)
    return 6 if merged.doubtful else 0


def _sources(merged: Merged) -> list[dict[str, Any]]:
    rows = []
    for place, (source, offset) in enumerate(zip(merged.sources, merged.offsets, strict=True)):
        row: dict[str, Any] = {
            "id": source.identity.id,
            "host": source.identity.host,
            "messages": source.messages,
            "gaps": source.gaps,
        }
        if merged.shares is not None:
            row |= {
                "kept": merged.shares.kept[place],
                "alone": merged.shares.alone[place],
                "clock_ahead_ms": offset.ahead_ns / 1e6,
            }
        rows.append(row)
    return rows


def _outcome(merged: Merged) -> dict[str, Any]:
    shares = merged.shares
    if shares is None:
        return {}
    return {"shared": shares.shared, "left_out": shares.filled.left_out, "doubtful": shares.filled.doubtful}


def _say_source(row: dict[str, Any]) -> None:
    text = f"{row['id']}: {show_count(row['messages'])} messages, {show_number(row['gaps'], 'gap')}"
    if "kept" in row:
        text += f", {show_count(row['alone'])} seen by it alone, clock {row['clock_ahead_ms']:+.1f} ms"
    say(text)


def _say_outcome(merged: Merged) -> None:
    shares = merged.shares
    assert shares is not None
    gaps = merged.made.manifest.gaps
    say(
        f"{show_count(shares.shared)} were seen by more than one; "
        f"{show_number(gaps, 'gap')} left where nobody was there"
    )
    if shares.filled.left_out:
        say(f"{show_count(shares.filled.left_out)} of a connection's own (heartbeats, what was sent) were left out")
    if shares.filled.doubtful > shares.shared:
        say("warning: more is doubtful than was seen by more than one; are these recordings of one feed?")
    if shares.filled.doubtful:
        say(
            f"warning: {show_count(shares.filled.doubtful)} could not be placed with certainty: seen by one only "
            "although others were there, or the same as several others"
        )
