"""``wsrec prune``: remove the sessions that have had their time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsrecorder.cli.app import app
from wsrecorder.cli.options import Json, LibraryOption, parse_size
from wsrecorder.cli.output import print_error, print_json, print_lines, say, show_bytes, show_number
from wsrecorder.cli.table import output_width, table_lines
from wsrecorder.core.event import from_epoch_ns
from wsrecorder.core.moment import parse_duration
from wsrecorder.core.retention import Limit, Verdict

if TYPE_CHECKING:
    from wsrecorder.jobs.prune import Pruned

__all__ = ["prune"]


@app.command(epilog="Example: wsrec prune --keep 30d --keep-size 50GB --dry-run")
def prune(
    library: LibraryOption = Path("recordings"),
    keep: Annotated[
        str | None, typer.Option(metavar="TIME", help="Sessions that ended longer ago than this go, such as 30d.")
    ] = None,
    keep_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="The oldest go until the rest takes no more than this.")
    ] = None,
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Only show what would go; remove nothing.")] = False,
    as_json: Json = False,
) -> int:
    """Remove sealed sessions that are too old, or too many, with their notes.

    A session that is being recorded, was never sealed or cannot be read always stays.
    """
    from wsrecorder.clock import SystemClock
    from wsrecorder.jobs.prune import Pruned, plan
    from wsrecorder.jobs.prune import prune as run_prune

    limit = Limit(
        age_ns=None if keep is None else parse_duration(keep),
        size_bytes=None if keep_size is None else parse_size(keep_size),
    )
    verdicts = plan(library, limit, SystemClock().wall_ns())
    done = Pruned() if is_dry else run_prune(library, verdicts)
    if as_json:
        print_json(_facts(verdicts, done, limit, is_dry=is_dry))
    else:
        _show(verdicts, done, limit, is_dry=is_dry)
    for error in done.errors:
        print_error(error.message, error.hint)
    return done.errors[0].exit_code if done.errors else 0


def _show(verdicts: list[Verdict], done: Pruned, limit: Limit, *, is_dry: bool) -> None:
    if verdicts:
        rows = [
            (verdict.holding.name, _end(verdict)[:16].replace("T", " "), show_bytes(verdict.holding.size_bytes),
             *_fate(verdict, done, is_dry=is_dry))
            for verdict in verdicts
        ]  # fmt: skip
        columns = ("session", "end (UTC)", "on disk", "", "why")
        print_lines(table_lines(columns, rows, right=(2,), whole=[0, 3], width=output_width()))
    going = [verdict for verdict in verdicts if verdict.goes]
    if is_dry:
        freed = show_bytes(sum(verdict.holding.size_bytes for verdict in going))
        say(f"{show_number(len(going), 'session')} would go, {freed}; without --dry-run that is done")
    else:
        say(f"removed {show_number(len(done.removed), 'session')}, {show_bytes(done.freed_bytes)}")
    left_bytes = _left_bytes(verdicts)
    if limit.size_bytes is not None and left_bytes > limit.size_bytes:
        say(f"warning: what must stay takes {show_bytes(left_bytes)}, more than {show_bytes(limit.size_bytes)}")


def _fate(verdict: Verdict, done: Pruned, *, is_dry: bool) -> tuple[str, str]:
    if verdict.goes and not is_dry and verdict.holding.name not in done.removed:
        return "stays", f"{verdict.reason}, but could not be removed"
    return "goes" if verdict.goes else "stays", verdict.reason


def _facts(verdicts: list[Verdict], done: Pruned, limit: Limit, *, is_dry: bool) -> dict[str, Any]:
    return {
        "dry_run": is_dry,
        "sessions": [
            {
                "session": verdict.holding.name,
                "end": _end(verdict) or None,
                "bytes_on_disk": verdict.holding.size_bytes,
                "goes": verdict.goes,
                "reason": verdict.reason,
                "removed": verdict.holding.name in done.removed,
            }
            for verdict in verdicts
        ],
        "freed_bytes": done.freed_bytes,
        "within_size": limit.size_bytes is None or _left_bytes(verdicts) <= limit.size_bytes,
        "errors": [{"message": error.message, "hint": error.hint} for error in done.errors],
    }


def _end(verdict: Verdict) -> str:
    ended_ns = verdict.holding.ended_ns
    return "" if ended_ns is None else from_epoch_ns(ended_ns).isoformat()


def _left_bytes(verdicts: list[Verdict]) -> int:
    return sum(verdict.holding.size_bytes for verdict in verdicts if not verdict.goes)
