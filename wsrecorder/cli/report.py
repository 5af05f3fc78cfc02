"""``wsrec report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsrecorder.cli.app import app
from wsrecorder.cli.options import Json, LibraryOption
from wsrecorder.cli.output import print_json
from wsrecorder.cli.page_file import check_is_free, write_page
from wsrecorder.cli.selecting import SessionArgument, find_session

__all__ = ["report"]


@app.command(epilog="Example: wsrec report latest -o report.html")
def report(
    session: SessionArgument,
    library: LibraryOption = Path("recordings"),
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write the page there.  [default: the session's id .html]"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
    as_json: Json = False,
) -> int:
    """Write a page about a session: events and latency over time, gaps, engine states, orders, positions.

    One HTML file that needs no network. With --json the same figures as data, on stdout, and no page
    unless --out names one. Any session can be reported, one that is being recorded as it is now.
    """
    from wsrecorder.analysis.report import make_report
    from wsrecorder.analysis.report_page import check_plotly, render_page

    found = find_session(session, library)
    place = out if out is not None or as_json else Path(f"{found.store.identity().id}.html")
    if place is not None:
        check_is_free(place, found.path, option="--out", overwrite=overwrite)
        check_plotly()
    figures = make_report(found)
    if as_json:
        print_json(figures.to_dict())
    if place is not None:
        write_page(place, render_page(figures))
    return 0
