"""``wsrec send``: a recorded client again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from wsrecorder.cli import upstream_options
from wsrecorder.cli.app import app
from wsrecorder.cli.cells import NOTHING, word_cell
from wsrecorder.cli.operating import tell_mishaps
from wsrecorder.cli.options import Json, LibraryOption, Quiet, split_words
from wsrecorder.cli.output import log_to_stderr, print_json, print_lines, say, show_count, show_number
from wsrecorder.cli.table import output_width, table_lines
from wsrecorder.core.moment import parse_duration
from wsrecorder.core.playhead import parse_speed
from wsrecorder.jobs.mishaps import Mishaps
from wsrecorder.jobs.send_options import SendOptions, WaitFor
from wsrecorder.store.place import Place

if TYPE_CHECKING:
    from wsrecorder.jobs.send_options import AnswerDifference, SendReport
    from wsrecorder.store.session import Store

__all__ = ["send"]

_DIFFERENT: Final = 1
_LOST: Final = 3
_LONGEST_VALUE: Final = 60
_OUTCOMES: Final = ("same", "changed", "missing", "unexpected", "moved")


@app.command(epilog="Example: wsrec send latest ws://localhost:8000/ws/ --ignore ts")
def send(
    session: Annotated[
        str, typer.Argument(metavar="SESSION", help="Path, id, unique prefix of an id, name, or 'latest'.")
    ],
    url: Annotated[str, typer.Argument(metavar="URL", help="ws:// or wss:// URL of the server.")],
    library: LibraryOption = Path("recordings"),
    wait: Annotated[
        WaitFor, typer.Option(help="Say each message when the answers before it have come, or by time.")
    ] = WaitFor.ANSWERS,
    speed: Annotated[str, typer.Option(metavar="FACTOR|max", help="By time: session seconds per second.")] = "1",
    match: Annotated[
        str, typer.Option(metavar="exact|json|type|SQL", help="When an answer is the recorded one.")
    ] = "json",
    timeout: Annotated[str, typer.Option(metavar="TIME", help="How long to wait while nothing comes.")] = "10s",
    conn: Annotated[
        int | None, typer.Option(min=0, help="Only this recorded connection.  [default: all with a client message]")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="'NAME: VALUE'", help="One more handshake header. Repeatable.")
    ] = None,
    origin: Annotated[str | None, typer.Option(help="Value of the header Origin.")] = None,
    subprotocol: Annotated[
        list[str] | None, typer.Option(help="Subprotocol to offer. Repeatable.  [default: the recorded one]")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="Leave this key out, wherever it stands. Repeatable.")
    ] = None,
    ignore_path: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Leave this out, such as data.timestamp. Repeatable.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="Show no more differences than this.")] = 20,
    transport: Annotated[str, typer.Option(metavar="auto|websockets|picows", help="What carries it.")] = "auto",
    header_env: upstream_options.HeaderEnv = None,
    header_file: upstream_options.HeaderFile = None,
    query_env: upstream_options.QueryEnv = None,
    subprotocol_env: upstream_options.SubprotocolEnv = None,
    ca: upstream_options.Ca = None,
    client_cert: upstream_options.ClientCert = None,
    client_key: upstream_options.ClientKey = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int:
    """Say to a server again what a recorded client said, and tell how its answers differ from the recorded ones.

    Exit codes: 0 it answered as recorded; 1 it did not; 3 it cannot be reached, or the connection was lost.
    """
    from wsrecorder.net.transport import choose_transport

    upstream = upstream_options.upstream_of(
        [url], header=header, header_env=header_env, header_file=header_file, query_env=query_env,
        subprotocol=subprotocol, subprotocol_env=subprotocol_env,
        ca=ca, client_cert=client_cert, client_key=client_key,
    )  # fmt: skip
    options = SendOptions(
        url=upstream.url(url),
        wait=wait,
        speed=parse_speed(speed),
        match=match,
        timeout_s=parse_duration(timeout) / 1e9,
        conn=conn,
        headers=upstream.headers,
        origin=origin,
        subprotocols=upstream.subprotocols or None,
        ignore=split_words(ignore) or frozenset(),
        ignore_paths=tuple(ignore_path or ()),
        limit=limit,
        transport=choose_transport(transport),
        tls=upstream.tls(),
        secrets=upstream.secrets,
    )
    log_to_stderr(quiet=quiet)
    mishaps = Mishaps()
    report = _send(session, library, options, mishaps)
    if report is None:
        say("stopped before all was said")
        return tell_mishaps(mishaps, _DIFFERENT)
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report)
    return tell_mishaps(mishaps, 0 if report.is_equal else _LOST if report.is_lost else _DIFFERENT)


def _send(session: str, library: Place, options: SendOptions, mishaps: Mishaps) -> SendReport | None:
    """Say it all; None if the user ends it before."""
    from wsrecorder.cli.running import run_until_stopped
    from wsrecorder.clock import SystemClock
    from wsrecorder.jobs.send import send_session
    from wsrecorder.store.library import Library

    store: Store = Library(library).find(session)

    async def run(stop: asyncio.Event) -> SendReport | None:
        saying = asyncio.create_task(send_session(store, options, SystemClock()))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((saying, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if saying.done():
            return saying.result()
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)
        return None

    return run_until_stopped(run, mishaps)


def _print(report: SendReport) -> None:
    width = output_width()
    rows = []
    for each in report.connections:
        counts = each.to_dict()["counts"]
        rows.append([str(each.conn), *map(show_count, (each.sent, each.unsent, each.expected, each.received))])
        rows[-1] += [show_count(counts[name]) for name in _OUTCOMES]
    columns = ["conn", "sent", "unsent", "expected", "received", *_OUTCOMES]
    print_lines(table_lines(columns, rows, right=range(len(columns)), width=width))
    cells = [_cells(each.conn, difference) for each in report.connections for difference in each.differences]
    if cells:
        print()
        columns = ["what", "conn", "event", "type", "difference"]
        print_lines(table_lines(columns, cells, right=(1, 2), whole=[0, 1, 2, 3], width=width))
    for each in report.connections:
        if each.close_code is not None and not each.is_equal:
            reason = f": {each.close_reason}" if each.close_reason else ""
            say(f"connection {each.conn} was closed by the server with {each.close_code}{reason}")
        if each.different > len(each.differences):
            left = show_number(each.different - len(each.differences), "more difference")
            say(f"{left} on connection {each.conn}; --limit shows more")


def _cells(conn: int, difference: AnswerDifference) -> list[str]:
    from wsrecorder.core.alignment import Outcome

    told = [f"{each.path or 'all'}: {_value(each.before)} → {_value(each.after)}" for each in difference.changes]
    return [
        "unexpected" if difference.outcome is Outcome.ADDED else str(difference.outcome),
        str(conn),
        NOTHING if difference.seq is None else str(difference.seq),
        word_cell(difference.type),
        ", ".join(told) or _short(difference.payload.decode(errors="backslashreplace")),
    ]


def _value(value: Any) -> str:
    from wsrecorder.core.likeness import ABSENT

    if value is ABSENT:
        return "(absent)"
    return _short(repr(value) if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
