"""Options by which commands choose a session and events of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsrecorder.cli.options import split_words
from wsrecorder.errors import UsageError
from wsrecorder.store.place import Place

if TYPE_CHECKING:
    from wsrecorder.analysis.session import Session

__all__ = ["Exclude", "From", "SessionArgument", "To", "Types", "Where", "find_session", "wanted_events"]

SessionArgument = Annotated[
    str, typer.Argument(metavar="SESSION", help="Path, id, unique prefix of an id, name, or 'latest'.")
]
From = Annotated[
    str | None, typer.Option("--from", metavar="MOMENT", help="Begin at 90s, -10s from the end, or a time.")
]
To = Annotated[str | None, typer.Option("--to", metavar="MOMENT", help="End there, not included.")]
Types = Annotated[list[str] | None, typer.Option(metavar="A,B", help="Only messages of these types. Repeatable.")]
Exclude = Annotated[list[str] | None, typer.Option(metavar="A,B", help="No messages of these types. Repeatable.")]

Where = Annotated[
    str | None,
    typer.Option(metavar="SQL", help="Only events for which this is true: \"payload->>'$.data.state' = 'idle'\"."),
]


def find_session(reference: str, library: Place) -> Session:
    """Return the session that goes by a reference.

    Raises:
        SessionNotFound: None does, or more than one.
    """
    from wsrecorder.analysis.session import open_session

    return open_session(reference, library=library)


def wanted_events(types: list[str] | None, exclude: list[str] | None, where: str | None = None) -> dict[str, Any]:
    """Return what `Session.batches` is to be asked for, by what was given for --types, --exclude and --where.

    Raises:
        UsageError: A type is both wanted and not.
    """
    only, but = split_words(types), split_words(exclude)
    both = sorted((only or frozenset()) & (but or frozenset()))
    if both:
        raise UsageError(f"type {both[0]} is both in --types and in --exclude", hint="name it in one of them")
    wanted: dict[str, Any] = {name: value for name, value in (("types", only), ("exclude", but)) if value}
    return wanted if where is None else wanted | {"where": where}
