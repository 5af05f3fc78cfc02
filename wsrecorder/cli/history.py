"""``wsrec history``: the life of each order and position."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from wsrecorder.cli.app import app
from wsrecorder.cli.cells import NOTHING, amount_cell, money_cell, time_cell, word_cell
from wsrecorder.cli.options import Json, LibraryOption
from wsrecorder.cli.output import print_json, print_lines, say, show_duration
from wsrecorder.cli.selecting import SessionArgument, find_session
from wsrecorder.cli.table import output_width, table_lines

if TYPE_CHECKING:
    from wsrecorder.analysis.history import LifeRow, Step

__all__ = ["history"]

_Id = Annotated[
    str | None, typer.Option("--id", metavar="ID", help="One signal, order or position, event by event, and its kin.")
]


@app.command(epilog="Example: wsrec history latest --id pos-9bca2ee0289d")
def history(
    session: SessionArgument, library: LibraryOption = Path("recordings"), id: _Id = None, as_json: Json = False
) -> int:
    """Show the life of each order and position of a session, or one of them event by event.

    Signal, order and position are joined by the ids that the feed tells; what no event told is a dash.
    """
    from wsrecorder.analysis.history import history_of, steps_of

    found = find_session(session, library)
    if id is not None:
        steps = steps_of(found, id)
        if as_json:
            print_json([step.to_dict() for step in steps])
        else:
            _print_steps(steps)
        return 0
    rows = history_of(found)
    if as_json:
        print_json([msgspec.to_builtins(row) for row in rows])
    elif rows:
        _print_rows(rows)
    else:
        say(f"session {found.store.identity().id} tells of no order and no position")
    return 0


def _print_rows(rows: list[LifeRow]) -> None:
    columns = ["what", "id", "symbol", "side", "qty", "price", "began", "lasted", "status", "moves", "pnl $", "reason"]
    columns += ["signal", "joined"]
    cells = [
        [
            row.what,
            row.id,
            word_cell(row.symbol),
            word_cell(row.side),
            amount_cell(row.qty),
            amount_cell(row.price),
            time_cell(row.began_ms),
            NOTHING if row.lasted_ms is None else show_duration(row.lasted_ms * 1_000_000),
            word_cell(row.status),
            str(row.moves),
            money_cell(row.pnl_usd),
            word_cell(row.reason),
            word_cell(row.signal),
            word_cell(row.position if row.what == "order" else row.order),
        ]
        for row in rows
    ]
    print_lines(table_lines(columns, cells, right=(4, 5, 7, 9, 10), whole=[1], width=output_width()))


def _print_steps(steps: list[Step]) -> None:
    columns = ["event", "received", "at", "type", "id", "what it told"]
    cells = [
        [
            str(step.seq),
            time_cell(step.received_ns // 1_000_000),
            f"{step.elapsed_ns / 1e9:.3f}s",
            step.type,
            step.id,
            ", ".join(_change(name, *pair) for name, pair in step.changes.items()) or "nothing new",
        ]
        for step in steps
    ]
    print_lines(table_lines(columns, cells, right=(0, 2), whole=[0, 1, 2, 3, 4], width=output_width()))


def _change(name: str, before: Any, after: Any) -> str:
    told = _value(name, after)
    return f"{name} {told}" if before is None else f"{name} {_value(name, before)} → {told}"


def _value(name: str, value: Any) -> str:
    if name.endswith("_ms"):
        return time_cell(value)
    return amount_cell(value) if isinstance(value, float) else str(value)
