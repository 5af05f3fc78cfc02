"""``wsrec trim``: a part of a session as a session of its own."""

from __future__ import annotations

from pathlib import Path

from wsrecorder.cli.app import app
from wsrecorder.cli.making import Into, Name, report_made, target_of
from wsrecorder.cli.options import Json, LibraryOption, split_words
from wsrecorder.cli.progress import progress_bar
from wsrecorder.cli.selecting import Exclude, From, SessionArgument, To, Types, Where, find_session, wanted_events
from wsrecorder.store.place import label

__all__ = ["trim"]


@app.command(epilog="Example: wsrec trim latest --from 1m30s --to 2m --name incident")
def trim(
    session: SessionArgument,
    library: LibraryOption = Path("recordings"),
    start: From = None,
    end: To = None,
    types: Types = None,
    exclude: Exclude = None,
    where: Where = None,
    name: Name = None,
    into: Into = None,
    as_json: Json = False,
) -> int:
    """Make a session of a part of another: a window of time, some types of messages, what a condition holds for.

    It begins where the window does. Marks of the window (open, close, gap, note) are kept. All or nothing.
    """
    from wsrecorder.jobs.trim import TrimOptions
    from wsrecorder.jobs.trim import trim as run_trim

    wanted_events(types, exclude)  # refuses a contradiction
    only, but = split_words(types), split_words(exclude)
    options = TrimOptions(
        target=target_of(library, name, into),
        start=start,
        end=end,
        types=None if only is None else tuple(sorted(only)),
        exclude=tuple(sorted(but or ())),
        where=where,
    )
    found = find_session(session, library)
    with progress_bar(f"trimming {label(found.path)}") as show:
        made = run_trim(found, options, lambda done: show(done.events, done.share))
    report_made(made, "kept", as_json=as_json, session=str(found.path))
    return 0
