"""What the commands that make a session out of others share: where it goes, and what is said of it."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsrecorder.cli.output import print_json, say, show_bytes, show_count, show_duration
from wsrecorder.store.place import Place

if TYPE_CHECKING:
    from wsrecorder.jobs.new_session import Made, Target

__all__ = ["Into", "Name", "report_made", "target_of"]

Name = Annotated[str | None, typer.Option(help="Name of the new session.")]
Into = Annotated[
    Path | None, typer.Option(metavar="NAME.duckdb", help="Make a new DuckDB file instead of a folder of Parquet.")
]


def target_of(library: Place, name: str | None, into: Path | None) -> Target:
    """Return where a new session goes."""
    from wsrecorder.jobs.new_session import Target

    return Target(library=library, name=name, into=into, tool=f"wsrecorder {version('wsrecorder')}")


def report_made(made: Made, done: str, *, as_json: bool, **more: Any) -> None:
    """Tell which session was made.

    Args:
        made: The session.
        done: What was done, for people: ``kept``.
        as_json: Whether it is told as JSON on stdout.
        **more: What else the JSON holds.
    """
    facts = made.manifest
    if as_json:
        print_json(
            {
                "id": facts.identity.id,
                "path": str(made.path),
                "events": facts.events,
                "messages": facts.messages,
                "bytes": facts.size_bytes,
                "gaps": facts.gaps,
                "duration_s": facts.last_elapsed_ns / 1e9,
                "types": facts.types,
                **more,
            }
        )
    else:
        say(
            f"{done} {show_count(facts.messages)} messages ({show_bytes(facts.size_bytes)}) over "
            f"{show_duration(facts.last_elapsed_ns)} in {made.path}"
        )
