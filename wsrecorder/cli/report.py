"""``wsrec report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsrecorder.cli.app import app
from wsrecorder.cli.options import Json, LibraryOption
from wsrecorder.cli.output import print_json, say, show_bytes
from wsrecorder.cli.selecting import SessionArgument, find_session
from wsrecorder.errors import StorageError, UsageError

if TYPE_CHECKING:
    from wsrecorder.analysis.session import Session

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
        _check_is_free(place, found, overwrite=overwrite)
        check_plotly()
    figures = make_report(found)
    if as_json:
        print_json(figures.to_dict())
    if place is not None:
        _write(place, render_page(figures))
    return 0


def _check_is_free(place: Path, session: Session, *, overwrite: bool) -> None:
    """Refuse a file that is there, and any in the session, before anything is computed."""
    if session.path.resolve() in (place.resolve(), *place.resolve().parents):
        raise UsageError(f"{place} is part of the session", hint="name a file outside of the library with --out")
    if not place.parent.is_dir():
        raise UsageError(f"there is no folder {place.parent}", hint="make it first, or name another file with --out")
    if place.is_dir():
        raise UsageError(f"{place} is a folder, expected a file", hint="name a file in it with --out")
    if place.exists() and not overwrite:
        raise UsageError(
            f"{place} is there already", hint="name another file with --out, or replace it with --overwrite"
        )


def _write(place: Path, page: str) -> None:
    """Write the page; it gets its name when it is whole."""
    from wsrecorder.jobs.staging import staging
    from wsrecorder.store import disk

    content = page.encode()
    with staging(place.parent) as folder:
        path = folder / place.name
        try:
            path.write_bytes(content)
        except OSError as exc:
            raise StorageError(
                f"cannot write {place}: {exc.strerror or exc}",
                hint="name another place with --out, or free some space",
            ) from exc
        disk.publish(path, place)
    say(f"{place} ({show_bytes(len(content))}): open it in a browser; it needs no network")
