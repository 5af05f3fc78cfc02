"""A part of a session as a session of its own: a window of time, some types, what a condition holds for.

The filters choose among the messages. Marks stay, as far as they are within the window: without them the part could not
say where the recording itself has holes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from wsrecorder.analysis.session import Session
from wsrecorder.errors import UsageError
from wsrecorder.jobs.new_session import Made, Target, make_session
from wsrecorder.jobs.progress import OnProgress, Progress, unwatched
from wsrecorder.store.manifest import Identity, Origin
from wsrecorder.store.moving import moved, numbered
from wsrecorder.store.notes import NoteBook
from wsrecorder.store.place import label
from wsrecorder.store.selection import Selection

__all__ = ["TrimOptions", "trim"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimOptions:
    """What is kept.

    Attributes:
        target: Where the new session goes.
        start: First moment, as `Session.select` takes it; None is the beginning.
        end: First moment not wanted any more; None is the end.
        types: Only messages of these types; None is all.
        exclude: No messages of these types.
        where: Only messages for which this SQL expression is true, as `Session.batches` takes it; None is all.
    """

    target: Target
    start: str | None = None
    end: str | None = None
    types: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    where: str | None = None


def trim(session: Session, options: TrimOptions, on_progress: OnProgress = unwatched) -> Made:
    """Make a session of a part of another; if that fails, nothing is left of it.

    It begins where the window does. Of a session that is being recorded it is what is there now.

    Raises:
        UsageError: The part is none, the condition is wrong, or nothing would be left.
        SessionError: The session cannot be read.
        StorageError: The disk refuses.
    """
    window = session.select(start=options.start, end=options.end)
    source = session.store.manifest()
    identity = _identity(source.identity, window, options)
    batches = _batches(session, window, options, on_progress, source.events)
    made = make_session(options.target, identity, batches)
    # What people said of a moment that is kept is worth keeping.
    start_ns, end_ns, book = window.start_ns or 0, window.end_ns, NoteBook(made.path)
    for note in NoteBook(session.path).all():
        if note.elapsed_ns >= start_ns and (end_ns is None or note.elapsed_ns < end_ns):
            book.add(
                note.text, elapsed_ns=note.elapsed_ns - start_ns, received_ns=note.received_ns,
                made_at_ns=note.made_at_ns,
            )  # fmt: skip
    return made


def _identity(source: Identity, window: Selection, options: TrimOptions) -> Identity:
    start_ns = window.start_ns or 0
    origin = Origin(
        verb="trim",
        session=source.id,
        started_ns=source.started_ns,
        shift_ns=-start_ns,
        from_ns=window.start_ns,
        to_ns=window.end_ns,
        types=options.types,
        exclude=options.exclude,
        where=options.where,
    )
    return msgspec.structs.replace(
        source, name=f"{source.name}-trimmed", started_ns=source.started_ns + start_ns, derived_from=(origin,)
    )


def _batches(
    session: Session, window: Selection, options: TrimOptions, on_progress: OnProgress, events: int
) -> Iterator[Any]:
    condition = _condition(options)
    next_seq = messages = 0
    for batch in session.batches(where=condition, start=options.start, end=options.end):
        share = min(1.0, (batch.column("seq")[-1].as_py() + 1) / max(1, events))
        messages += len(batch) - batch.column("text").null_count + len(batch) - batch.column("binary").null_count
        yield numbered(moved(batch, -(window.start_ns or 0)), next_seq)
        next_seq += len(batch)
        on_progress(Progress(next_seq, share))
    if not next_seq or (condition is not None and not messages):
        kept = "message" if condition is not None else "event"
        raise UsageError(
            f"no {kept} of {label(session.path)} would be left",
            hint='widen the window or the filters; "wsrec info" lists the types of a session and how long it lasts',
        )


def _condition(options: TrimOptions) -> str | None:
    """Return the filters as one SQL expression that is true for every mark; None where all is wanted."""
    conditions = []
    if options.types is not None:
        conditions.append(f"coalesce(type IN ({_listed(options.types)}), false)")
    if options.exclude:
        conditions.append(f"coalesce(type NOT IN ({_listed(options.exclude)}), true)")
    if options.where is not None:
        # Looked at by itself first: within brackets it could close one of ours.
        from wsrecorder.analysis.where import Where  # DuckDB: a tenth of a second that only its users should pay

        Where(options.where)
        conditions.append(f"(\n{options.where}\n)")
    return f"kind <> 'message' OR ({' AND '.join(conditions)})" if conditions else None


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join("'" + word.replace("'", "''") + "'" for word in words) or "NULL"
