"""``wsrec replay``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from wsrecorder.cli import access_options, console_options
from wsrecorder.cli.app import app
from wsrecorder.cli.operating import (
    LogFormat,
    LogFormatOption,
    MetricsHost,
    MetricsOptions,
    MetricsPort,
    begin_log,
    metrics_beside,
    metrics_options,
    tell_mishaps,
)
from wsrecorder.cli.options import Json, LibraryOption, Quiet, parse_size, split_words
from wsrecorder.cli.output import print_json, say, show_bytes, show_duration, show_number, show_speed
from wsrecorder.cli.refused import say_refused
from wsrecorder.cli.replay_console import console_beside
from wsrecorder.cli.replay_sources import find_stores, moment_of
from wsrecorder.cli.selecting import Where
from wsrecorder.cli.two_way import (
    Conn,
    MatchTimeout,
    Rules,
    TwoWayOption,
    on_connection,
    replay_two_way,
    replay_vitals,
    two_way_options,
)
from wsrecorder.core.fault import parse_faults
from wsrecorder.core.moment import parse_duration, parse_moment
from wsrecorder.core.playhead import parse_speed
from wsrecorder.core.timeline import Axis
from wsrecorder.errors import UsageError
from wsrecorder.jobs.mishaps import Mishaps
from wsrecorder.jobs.replay_options import AtEnd, Prime, ReplayOptions, ReplayReport, ReplayState
from wsrecorder.net.endpoint_options import SlowClient

if TYPE_CHECKING:
    from wsrecorder.jobs.replay import Replay
    from wsrecorder.store.session import Store

__all__ = ["position_line", "print_report", "replay"]

_LOG: Final = logging.getLogger("wsrecorder.replay")

_Beside = AbstractAsyncContextManager["Callable[[Replay], str | None]"]
_Watch = Callable[["Replay", str | None], None]

_LOG_EVERY_S: Final = 10.0
_CLIENTS_SHOWN: Final = 20
_INJECTED: Final = {
    "drop": ("frame", "dropped"),
    "corrupt": ("frame", "altered"),
    "duplicate": ("frame", "doubled"),
    "reorder": ("pair", "swapped"),
    "delay": ("frame", "delayed"),
    "disconnect": ("client", "disconnected"),
    "freeze": ("silence", "kept"),
    "refuse": ("connection", "refused"),
    "recorded": ("recorded outage", "re-enacted"),
}


@app.command(epilog="Example: wsrec replay latest --speed 10 --max-gap 2s")
def replay(
    sessions: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SESSION…",
            help="Path, id, unique prefix of an id, name, or 'latest'; several merge. Or nats://HOST/STREAM.",
        ),
    ] = None,
    library: LibraryOption = Path("recordings"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    path: Annotated[str | None, typer.Option(help="Path to serve; by default the recorded one.")] = None,
    speed: Annotated[str, typer.Option(metavar="FACTOR|max", help="Session seconds per second, above 0.")] = "1",
    clock: Annotated[Axis, typer.Option(help="Play the times of receiving or of sending.")] = Axis.RECEIVED,
    max_gap: Annotated[str | None, typer.Option(metavar="TIME", help="Longest silence, before speed.")] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="MOMENT", help="Begin at 90s, -10s from the end, a time, or at event #N."),
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="MOMENT", help="End there, not included.")] = None,
    types: Annotated[
        list[str] | None, typer.Option(metavar="A,B", help="Only messages of these types. Repeatable.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="A,B", help="No messages of these types. Repeatable.")
    ] = None,
    where: Where = None,
    verbatim: Annotated[
        bool, typer.Option("--verbatim", help="Every recorded frame and nothing else: recorded heartbeats, no own.")
    ] = False,
    restamp: Annotated[
        bool, typer.Option("--restamp", help="Rewrite the digits of ts, so that the stream looks live.")
    ] = False,
    per_client: Annotated[
        bool,
        typer.Option("--per-client", help="Play to each client from the start; ?speed=&from=&to=&types= in its URL."),
    ] = False,
    wait_for: Annotated[int, typer.Option(metavar="N", min=0, help="Clients to wait for; 0 plays at once.")] = 1,
    slow_client: Annotated[
        SlowClient | None,
        typer.Option(help="Close who lags too far, or wait; by default wait with --per-client or --speed max."),
    ] = None,
    client_buffer: Annotated[str, typer.Option(metavar="SIZE", help="How far a client may lag.")] = "16MiB",
    at_end: Annotated[
        AtEnd | None, typer.Option(help="Keep connections open, close them, exit, or begin again.  [default: stay]")
    ] = None,
    prime: Annotated[
        Prime, typer.Option(help="What a client is told first when it joins late or is carried over a seek.")
    ] = Prime.LAST,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end: --at-end loop.")] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="FAULT", help="What goes wrong, as in drop=1%@SIGNAL; docs/faults.md. Repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides which frames the faults hit.")] = 0,
    match: Annotated[
        str | None,
        typer.Option(
            metavar="SQL",
            help="What the key n looks for: the next event for which it is true. With --two-way: when a client's "
            "message is the recorded one, exact, json (by default), type or an expression.",
        ),
    ] = None,
    two_way: TwoWayOption = None,
    match_timeout: MatchTimeout = None,
    conn: Conn = None,
    rules: Rules = None,
    allow_origin: access_options.AllowOrigin = None,
    auth_token: access_options.AuthToken = None,
    auth_token_env: access_options.AuthTokenEnv = None,
    auth_token_file: access_options.AuthTokenFile = None,
    jwt_secret_env: access_options.JwtSecretEnv = None,
    jwt_secret_file: access_options.JwtSecretFile = None,
    jwt_key: access_options.JwtKeyFile = None,
    jwt_audience: access_options.JwtAudience = None,
    jwt_issuer: access_options.JwtIssuer = None,
    cert: access_options.Cert = None,
    key: access_options.Key = None,
    max_clients: access_options.MaxClients = None,
    handshake_timeout: access_options.HandshakeTimeout = "10s",
    max_inbound: access_options.MaxInbound = None,
    inbound_rate: access_options.InboundRate = None,
    console: Annotated[
        bool, typer.Option(help="A page and an HTTP interface that control it, on a port apart.")
    ] = True,
    console_host: console_options.ConsoleHost = console_options.DEFAULT_HOST,
    console_port: console_options.ConsolePort = None,
    console_token: console_options.ConsoleToken = None,
    console_token_file: console_options.ConsoleTokenFile = None,
    metrics: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    log_format: LogFormatOption = LogFormat.TEXT,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int:
    """Stand in for the live feed: replay sessions over the recorded path, at original or any other speed.

    By default it serves ws://127.0.0.1:8000/ws/, begins when the first client connects, and goes on until
    Ctrl-C. All clients share one playhead: who comes late joins midway, as on the live feed. A page at
    http://127.0.0.1:8001/ shows and controls it. With --two-way or --rules each client is answered by what it says
    (docs/two-way.md), without that page.
    """
    if loop and at_end not in (None, AtEnd.LOOP):
        raise UsageError(f"--loop and --at-end {at_end} exclude each other", hint="give one of them")
    access = access_options.access_of(
        host, allow_origin, access_options.tokens_of(auth_token, auth_token_env, auth_token_file),
        access_options.jwt_rules_of(jwt_secret_env, jwt_secret_file, jwt_key, jwt_audience, jwt_issuer),
        access_options.certificate_of(cert, key),
        max_clients=max_clients, handshake_timeout=handshake_timeout,
        max_inbound=max_inbound, inbound_rate=inbound_rate,
    )  # fmt: skip
    stores, is_stream = find_stores(sessions or [], library)
    options = ReplayOptions(
        host=host,
        port=port,
        path=path,
        speed=parse_speed(speed),
        axis=clock,
        max_gap_ns=None if max_gap is None else parse_duration(max_gap),
        start=None if start is None else moment_of(start, stores),
        end=None if end is None else parse_moment(end),
        types=split_words(types),
        exclude=split_words(exclude) or frozenset(),
        where=on_connection(where, two_way, conn),
        verbatim=verbatim,
        restamp=restamp,
        per_client=per_client or two_way is not None,
        wait_for=wait_for,
        slow_client=slow_client,
        client_buffer_bytes=parse_size(client_buffer),
        at_end=AtEnd.LOOP if loop else at_end or AtEnd.STAY,
        prime=Prime.NONE if is_stream else prime,
        faults=parse_faults(fault or []),
        seed=seed,
        access=access,
    )
    talk = two_way_options(two_way, match, match_timeout, conn, rules)
    served = metrics_options("replay", metrics, metrics_host, quiet=quiet)
    console = console and not is_stream
    wanted = console_host, console_port, console_token, console_token_file
    if talk is not None or not console:
        console_options.refuse_console(*wanted)
    if talk is not None:
        return replay_two_way(stores, options, talk, served, log_format, quiet=quiet, as_json=as_json)
    shown = console_options.console_options(*wanted, access) if console else None
    beside = partial(console_beside, stores, shown, library)
    on_terminal = begin_log(log_format, quiet=quiet)
    return _replay(stores, options, beside, served, match=_checked(match), on_terminal=on_terminal, as_json=as_json)


def _checked(match: str | None) -> str | None:
    """Return the expression if it is one: who has mistyped it should not hear of that at the first press of a key."""
    if match is not None:
        from wsrecorder.analysis.where import Where as Condition  # DuckDB: a tenth of a second

        Condition(match)
    return match


def _replay(
    stores: Sequence[Store], options: ReplayOptions, beside: Callable[..., _Beside],
    metrics: MetricsOptions | None, *, match: str | None, on_terminal: bool, as_json: bool,
) -> int:  # fmt: skip
    from wsrecorder.cli.running import run_until_stopped
    from wsrecorder.clock import SystemClock
    from wsrecorder.jobs.replay import replay as run_replay
    from wsrecorder.store.memory import keep_memory_flat

    keep_memory_flat()
    started: list[tuple[Replay, str]] = []
    mishaps = Mishaps()

    async def run(stop: asyncio.Event) -> None:
        panel = _panel(stop, match, mishaps) if on_terminal else _log_lines()
        async with (
            metrics_beside(metrics, mishaps) as measure,
            panel as watch,
            beside(on_terminal=on_terminal) as begin_console,
        ):

            def on_started(running: Replay) -> None:
                console_url = begin_console(running)
                measure(lambda: replay_vitals(running))
                started.append((running, running.url))  # once it has ended it has none
                watch(running, console_url)

            await run_replay(stores, options, SystemClock(), stop, on_started, mishaps)

    try:
        run_until_stopped(run, mishaps)
    finally:
        # Also when a session could not be read to its end: what was played until then counts.
        for running, url in started:
            report = running.report()
            print_report(report)
            if as_json:
                print_json({"url": url, "sessions": [str(store.path) for store in stores]} | report.to_dict())
    return tell_mishaps(mishaps, 0)


@asynccontextmanager
async def _panel(stop: asyncio.Event, match: str | None, mishaps: Mishaps) -> AsyncIterator[_Watch]:
    from wsrecorder.cli.replay_panel import replay_panel  # rich costs a tenth of a second, and a pipe has no use for it

    async with replay_panel(stop, match, mishaps) as panel:
        yield panel.watch


@asynccontextmanager
async def _log_lines() -> AsyncIterator[_Watch]:
    """Log the position now and then while the block runs."""
    tasks: list[asyncio.Task[None]] = []

    async def log_position(running: Replay) -> None:
        while True:
            await asyncio.sleep(_LOG_EVERY_S)
            _LOG.info("%s", position_line(running.state))

    try:
        yield lambda running, _: tasks.append(asyncio.create_task(log_position(running)))
    finally:
        for task in tasks:
            task.cancel()


def position_line(state: ReplayState) -> str:
    """Return a line that says how a replay stands."""
    achieved = "" if state.achieved_speed is None else f" at {show_speed(state.achieved_speed)}"
    return (
        f"{state.status}: {show_duration(state.position_ns)} of {show_duration(state.end_ns)}{achieved}, "
        f"{show_number(state.frames_sent, 'frame')}, {show_number(state.clients, 'client')}"
    )


def print_report(report: ReplayReport) -> None:
    """Print what a replay measured of itself, for people, to stderr."""
    facts = report.to_dict()
    passes = f" in {report.passes} passes" if report.passes > 1 else ""
    say(f"replayed {show_number(report.frames_sent, 'frame')} in {report.playing_s:.1f} s{passes}{_pace(report)}")
    if report.lateness.count:
        late = facts["lateness_ms"]
        say(f"lateness p50 {late['p50']:.2f} ms, p99 {late['p99']:.2f} ms, max {late['max']:.2f} ms")
    for client in report.clients[:_CLIENTS_SHOWN]:
        primed = f", {show_number(client.primed, 'frame')} beforehand" if client.primed else ""
        stalls = f", {show_number(client.stalls, 'stall')} of {client.stalled_ns / 1e6:.0f} ms" if client.stalls else ""
        say(
            f"client {client.number} ({client.address}): {show_number(client.frames_sent, 'frame')}, "
            f"{show_bytes(client.bytes_sent)}, {show_number(client.heartbeats_sent, 'heartbeat')}{primed}{stalls}"
        )
    if len(report.clients) > _CLIENTS_SHOWN:
        say(f"and {len(report.clients) - _CLIENTS_SHOWN} more clients")
    if report.slow_closed:
        say(
            f"{show_number(report.slow_closed, 'client')} closed for lagging too far behind (1013): "
            "a larger --client-buffer bears more, --slow-client wait has everyone wait"
        )
    say_refused(report.refused)
    if report.faults.counts:
        counts = report.faults.counts.items()
        told = (f"{show_number(count, _INJECTED[kind][0])} {_INJECTED[kind][1]}" for kind, count in counts)
        say(f"injected (seed {report.faults.seed}): {', '.join(told)}")


def _pace(report: ReplayReport) -> str:
    if report.achieved_speed is None:
        return ""
    asked = "as fast as possible" if report.speed is None else f"{show_speed(report.speed)} was asked for"
    frames_per_s = report.frames_sent / report.playing_s
    return f": {show_speed(report.achieved_speed)} ({asked}), {frames_per_s:,.0f} frames/s"
