"""``wsrec state``: what was known at a moment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from wsrecorder.cli.app import app
from wsrecorder.cli.cells import amount_cell, money_cell, time_cell, word_cell
from wsrecorder.cli.options import Json, LibraryOption
from wsrecorder.cli.output import print_json, print_lines, show_count
from wsrecorder.cli.selecting import SessionArgument, find_session
from wsrecorder.cli.table import output_width, table_lines
from wsrecorder.core.event import from_epoch_ns

if TYPE_CHECKING:
    from wsrecorder.analysis.state import StateAt
    from wsrecorder.core.folds import EngineStatus, LastScan, OpenOrders, OpenPositions

__all__ = ["state"]

_MOST_CANDIDATES: Final = 20
"""Of a scan of the whole market; --json has them all."""

_At = Annotated[
    str | None,
    typer.Option("--at", metavar="MOMENT", help="90s, -10s from the end, or a time.  [default: the end]"),
]


@app.command(epilog="Example: wsrec state latest --at -10s")
def state(
    session: SessionArgument, library: LibraryOption = Path("recordings"), at: _At = None, as_json: Json = False
) -> int:
    """Show the engine, the open orders, the open positions and the last scan at a moment of a session.

    They are folded from the events received up to that moment; what no event told is a dash.
    """
    from wsrecorder.analysis.state import state_at

    found = state_at(find_session(session, library), at)
    if as_json:
        print_json(found.to_dict())
    else:
        print_lines(_lines(found, output_width()))
    return 0


def _lines(found: StateAt, width: int | None) -> list[str]:
    known = found.states
    lines = [
        f"session    {found.session}",
        f"moment     {from_epoch_ns(found.received_ns).isoformat()}, {found.elapsed_ns / 1e9:.3f} s from the start",
        f"engine     {_engine(known['engine'])}",
    ]
    for title, (columns, rows, right) in {
        f"orders     {show_count(len(known['orders'].orders))} open": _orders(known["orders"]),
        f"positions  {show_count(len(known['positions'].positions))} open": _positions(known["positions"]),
        f"scan       {_scan_title(known['scan'])}": _scan(known["scan"]),
    }.items():
        lines.append(title)
        if rows:
            indented = None if width is None else width - 2
            table = table_lines(columns, rows, right=right, whole=[0], width=indented)
            lines += ["", *(f"  {line}" for line in table), ""]
    return lines if lines[-1] else lines[:-1]


def _engine(status: EngineStatus) -> str:
    if status.state is None:
        return "not known"
    running = {True: ", running", False: ", not running", None: ""}[status.running]
    since = "" if status.since_ms is None else f", since {time_cell(status.since_ms)}"
    return f"{status.state}{running}{since}{'' if status.reason is None else f' ({status.reason})'}"


def _orders(known: OpenOrders) -> tuple[list[str], list[list[str]], list[int]]:
    columns = ["order", "symbol", "side", "type", "qty", "price", "stop", "placed", "signal"]
    rows = [
        [
            each.id,
            *map(word_cell, (each.symbol, each.side, each.kind)),
            *map(amount_cell, (each.qty, each.price, each.stop_price)),
            time_cell(each.placed_ms),
            word_cell(each.correlation_id),
        ]
        for each in known.orders
    ]
    return columns, rows, [4, 5, 6]


def _positions(known: OpenPositions) -> tuple[list[str], list[list[str]], list[int]]:
    columns = ["position", "symbol", "side", "qty", "entry", "stop", "target", "opened", "pnl $", "pnl R"]
    rows = [
        [
            each.id,
            *map(word_cell, (each.symbol, each.side)),
            *map(amount_cell, (each.qty, each.entry, each.stop, each.target)),
            time_cell(each.opened_ms),
            money_cell(each.unrealized_usd),
            amount_cell(each.unrealized_r),
        ]
        for each in known.positions
    ]
    return columns, rows, [3, 4, 5, 6, 8, 9]


def _scan_title(scan: LastScan) -> str:
    if scan == type(scan)():
        return "none yet"
    when = "" if scan.scanned_ms is None else f" at {time_cell(scan.scanned_ms)}"
    number = len(scan.candidates)
    return f"{show_count(number)} {'candidate' if number == 1 else 'candidates'}{when}"


def _scan(scan: LastScan) -> tuple[list[str], list[list[str]], list[int]]:
    rows = [
        [amount_cell(each.rank), word_cell(each.symbol), amount_cell(each.score), amount_cell(each.last)]
        for each in scan.candidates[:_MOST_CANDIDATES]
    ]
    more = len(scan.candidates) - len(rows)
    if more:
        rows.append(["", f"and {show_count(more)} more", "", ""])
    return ["rank", "symbol", "score", "last"], rows, [0, 2, 3]
