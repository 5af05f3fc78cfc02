"""``wsrec note``: say something of a moment of a session, and read what was said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsrecorder.cli.app import app
from wsrecorder.cli.options import Json, LibraryOption
from wsrecorder.cli.output import print_json, print_lines, say
from wsrecorder.cli.selecting import SessionArgument, find_session
from wsrecorder.cli.table import output_width, table_lines
from wsrecorder.core.event import from_epoch_ns
from wsrecorder.errors import UsageError

if TYPE_CHECKING:
    from wsrecorder.analysis.session import Session
    from wsrecorder.store.notes import Note, NoteBook

__all__ = ["note"]

_At = Annotated[
    str | None, typer.Option("--at", metavar="MOMENT", help="90s, -10s from the end, or a time.  [default: the end]")
]


@app.command(epilog='Example: wsrec note latest "the stop came late" --at 1m9s')
def note(
    session: SessionArgument,
    text: Annotated[str | None, typer.Argument(metavar="[TEXT]", help="What to note; without it notes are listed.")]
    = None,
    library: LibraryOption = Path("recordings"), at: _At = None, as_json: Json = False,
) -> int:  # fmt: skip
    """Note something at a moment of a session, or list its notes.

    Notes are kept beside the session, never in it: its events stay as they were recorded.
    """
    from wsrecorder.store.notes import NoteBook

    found = find_session(session, library)
    book = NoteBook(found.path)
    if text is not None:
        made = _add(found, book, text, at)
        say(f"noted at {made.elapsed_ns / 1e9:.3f} s of {found.store.identity().id}")
        if as_json:
            print_json(_plain(made))
        return 0
    if at is not None:
        raise UsageError("--at says where to note something, and there is no text", hint="write the text, too")
    _show(book, as_json=as_json)
    return 0


def _add(found: Session, book: NoteBook, text: str, at: str | None) -> Note:
    from wsrecorder.clock import SystemClock
    from wsrecorder.core.moment import resolve_moment

    manifest = found.store.manifest()
    start_ns, length_ns = manifest.identity.started_ns, manifest.last_elapsed_ns
    at_ns = length_ns if at is None else resolve_moment(at, start_ns=start_ns, length_ns=length_ns)
    return book.add(text, elapsed_ns=at_ns, received_ns=start_ns + at_ns, made_at_ns=SystemClock().wall_ns())


def _show(book: NoteBook, *, as_json: bool) -> None:
    notes = book.all()
    if as_json:
        print_json([_plain(each) for each in notes])
    elif notes:
        rows = [
            [f"{each.elapsed_ns / 1e9:.3f} s", from_epoch_ns(each.received_ns).isoformat(), each.text] for each in notes
        ]
        print_lines(table_lines(["at", "time", "note"], rows, right=[0], whole=[0, 1], width=output_width()))
    else:
        say("there is no note yet")
    if book.unreadable_lines:
        say(f"{book.unreadable_lines} of the lines in {book.path} cannot be read, and were passed over")


def _plain(each: Note) -> dict[str, Any]:
    return {
        "elapsed_ns": each.elapsed_ns,
        "at": from_epoch_ns(each.received_ns).isoformat(),
        "text": each.text,
        "made_at": from_epoch_ns(each.made_at_ns).isoformat(),
    }
