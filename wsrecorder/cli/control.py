"""``wsrec control``: drive a running replay from another terminal or a script."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from wsrecorder.cli.app import app
from wsrecorder.cli.console_options import TOKEN_VARIABLE, tokens_given
from wsrecorder.cli.control_verbs import VERBS, Asked, call_for
from wsrecorder.cli.options import Json
from wsrecorder.cli.output import (
    print_json,
    print_lines,
    show_bytes,
    show_count,
    show_duration,
    show_number,
    show_speed,
)
from wsrecorder.cli.table import output_width, table_lines

if TYPE_CHECKING:
    from wsrecorder.cli.console_client import ConsoleClient

__all__ = ["control"]

_VARIABLE: Final = "WSREC_CONTROL_TOKEN"
"""What sets ``--token``, as the name of every option does."""

_HELP: Final = """Drive a running replay: pause, seek, step, change speed, loop, inject faults, note something.

It asks the console that "wsrec replay" has beside it, over HTTP; docs/control.md has examples.

\b
Verbs:
""" + "\n".join(f"  {verb:<10}  {what}" for verb, what in VERBS.items())


def _complete(typed: str) -> list[str]:
    return [verb for verb in VERBS if verb.startswith(typed)]


@app.command(
    context_settings={"ignore_unknown_options": True},  # -10s is a moment, and no option
    help=_HELP,
    epilog="Example: wsrec control seek --match \"type = 'ERROR'\"",
)
def control(
    verb: Annotated[str, typer.Argument(help="What to do.", autocompletion=_complete)],
    values: Annotated[list[str] | None, typer.Argument(metavar="[VALUE…]", help="What the verb takes.")] = None,
    by: Annotated[str | None, typer.Option(metavar="TIME", help="seek: so far from the playhead; -10s is back.")]
    = None,
    seq: Annotated[int | None, typer.Option(help="seek: to an event, by its number.")] = None,
    match: Annotated[str | None, typer.Option(metavar="SQL", help="seek: to the next event where it is true.")] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="seek: to the first note with it, or the next one.")]
    = None,
    at: Annotated[str | None, typer.Option(metavar="MOMENT", help="note: on that moment, not on the playhead.")] = None,
    playback: Annotated[str | None, typer.Option(metavar="NAME", help="Which of several: 'client 3', 'session KEY'.")]
    = None,
    url: Annotated[
        str, typer.Option(envvar="WSREC_CONTROL_URL", help="Where the console of the replay is.")
    ] = "http://127.0.0.1:8001",
    token: Annotated[
        str | None,
        typer.Option(help=f"Token of the console or of its endpoint. [env var: {_VARIABLE}, or {TOKEN_VARIABLE}]"),
    ] = None,
    token_file: Annotated[Path | None, typer.Option(metavar="FILE", help="File with that token; the first of it.")]
    = None,
    as_json: Json = False,
) -> int:  # fmt: skip
    """Ask the console of a running replay; `_HELP` is what users read."""
    from wsrecorder.cli.console_client import ConsoleClient

    places = {"by": by, "seq": seq, "match": match, "note": note}
    asked = Asked(
        verb=verb,
        values=values or [],
        playback=playback,
        places={name: place for name, place in places.items() if place is not None},
        at=at,
    )
    if token_file is not None and token == os.environ.get(_VARIABLE):
        token = None  # what is given counts more than what stands in the environment
    given = tokens_given(token, token_file, option="--token")
    usual = os.environ.get(TOKEN_VARIABLE) or None
    _control(ConsoleClient(url, given[0] if given else None, usual), asked, as_json=as_json)
    return 0


def _control(client: ConsoleClient, asked: Asked, *, as_json: bool) -> None:
    state: dict[str, Any] = {}
    if asked.at is not None or asked.verb == "loop":  # only they tie moments to the session here
        state = client.get("/api/state")
    call = call_for(asked, state)
    answer = client.get(call.path) if call.content is None else client.post(call.path, call.content)
    if as_json:
        print_json(answer)
    else:
        print_lines(_SHOWN[call.shown](answer))


def _state_lines(state: dict[str, Any]) -> Iterator[str]:
    names = ", ".join(session["id"] for session in state["sessions"])
    yield f"session    {names}"
    yield f"length     {show_duration(state['last_event']['elapsed_ns'])}"
    if state["url"] is not None:
        yield f"endpoint   {state['url']}, {show_number(state['clients'], 'client')}"
    for playback in state["playbacks"]:
        yield from _playback_lines(playback)
    if state["faults"]:
        yield f"faults     {', '.join(state['faults'])}"


def _playback_lines(playback: dict[str, Any]) -> Iterator[str]:
    speed = playback["speed"]
    achieved = playback["achieved_speed"]
    after = "" if playback["seq"] is None else f" after event {playback['seq']}"
    parts = [
        f"{playback['name']}: {playback['status']} at {show_duration(playback['position_ns'])}{after}",
        f"speed {show_speed(float('inf') if speed == 'max' else speed)}"
        + ("" if achieved is None else f" ({show_speed(achieved)} achieved)"),
        f"{show_number(playback['frames_sent'], 'frame')} sent",
    ]
    if playback["loop"] is not None:
        parts.append(f"loop {' to '.join(map(show_duration, playback['loop']))}")
    late = playback["lateness_ms"]
    if late is not None:
        parts.append(f"late p50 {late['p50']:.2f} ms, p99 {late['p99']:.2f} ms")
    yield f"playback   {', '.join(parts)}"
    if playback["error"] is not None:
        yield f"error      {playback['error']['message']}; {playback['error']['hint']}"


def _fault_lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"faults     {', '.join(found['faults']) or 'none'}"
    if found["counts"]:
        yield f"injected   {', '.join(f'{kind} {show_count(count)}' for kind, count in found['counts'].items())}"


def _note_lines(made: dict[str, Any]) -> Iterator[str]:
    yield f"noted at {made['elapsed_ns'] / 1e9:.3f} s"


def _client_lines(found: dict[str, Any]) -> Iterator[str]:
    if not found["clients"]:
        yield "no client is here"
        return
    columns = ("client", "address", "playback", "frames", "bytes", "buffered", "stalls", "round trip ms", "connected s")
    rows = [
        (
            str(each["number"]), each["address"], each["playback"], show_count(each["frames_sent"]),
            show_bytes(each["bytes_sent"]), show_bytes(each["buffered_bytes"]), show_count(each["stalls"]),
            f"{each['latency_ms']:.2f}", f"{each['connected_s']:.0f}",
        )
        for each in found["clients"]
    ]  # fmt: skip
    yield from table_lines(columns, rows, right=[0, *range(3, len(columns))], width=output_width())


def _disconnect_lines(done: dict[str, Any]) -> Iterator[str]:
    yield f"client {done['number']} is being disconnected"


_SHOWN = {
    "state": _state_lines,
    "playback": _playback_lines,
    "faults": _fault_lines,
    "note": _note_lines,
    "clients": _client_lines,
    "disconnect": _disconnect_lines,
}
