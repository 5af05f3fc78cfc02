"""``wsrec tap``."""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsrecorder.cli import access_options, redaction_options, upstream_options
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
from wsrecorder.cli.options import Json, LibraryOption, Quiet, parse_size
from wsrecorder.cli.output import print_error, print_json, say, show_bytes, show_number
from wsrecorder.cli.recording import dialect_of, limits_of, max_frame_of
from wsrecorder.cli.refused import say_refused
from wsrecorder.cli.snapshot_signal import ignoring_signal
from wsrecorder.cli.spool_options import Spool, SpoolMax
from wsrecorder.core.dialect import TS_UNITS
from wsrecorder.jobs.mishaps import Mishaps

if TYPE_CHECKING:
    from wsrecorder.jobs.tap import TapJob
    from wsrecorder.jobs.tap_options import TapJobOptions, TapSummary
    from wsrecorder.jobs.vitals import Vitals

__all__ = ["tap"]


@app.command(epilog="Example: wsrec tap ws://localhost:8000/ws/ --port 8001, then connect to ws://localhost:8001/ws/")
def tap(
    upstream: Annotated[str, typer.Argument(help="ws:// or wss:// URL of the live server.")],
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8001,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    library: LibraryOption = Path("recordings"),
    name: Annotated[str | None, typer.Option(help="Name of the session; by default the server's host.")] = None,
    into: Annotated[
        Path | None, typer.Option(metavar="NAME.duckdb", help="Record into a new DuckDB file instead of Parquet.")
    ] = None,
    duration: Annotated[str | None, typer.Option(metavar="TIME", help="Stop after this long, such as 10m.")] = None,
    max_events: Annotated[
        int | None, typer.Option(min=1, help="Stop after this many frames, both directions counted.")
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="'NAME: VALUE'", help="Header to send to the server instead of the client's. Repeatable."),
    ] = None,
    forward_header: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Pass on this header of the client's and no other beside the handshake's; by default all. Repeatable.",
        ),
    ] = None,
    deflate: Annotated[
        bool, typer.Option("--deflate/--no-deflate", help="Let the two ends negotiate compression.")
    ] = True,
    max_frame: Annotated[
        str, typer.Option(metavar="SIZE", help="Largest frame to record; a larger one is passed on, and is a gap.")
    ] = "64MiB",
    rotate: Annotated[
        str, typer.Option(metavar="SIZE|TIME", help="Seal a segment at this size, or age, or 'SIZE,TIME'.")
    ] = "64MiB,5m",
    sync: Annotated[
        bool, typer.Option("--sync/--no-sync", help="Sync each batch to the disk: a crash loses 100 ms at most.")
    ] = True,
    spool: Spool = None,
    spool_max: SpoolMax = "10GB",
    type_path: Annotated[str, typer.Option(metavar="PATH", help="Where a message's type is, such as data.e.")] = "type",
    ts_path: Annotated[str, typer.Option(metavar="PATH", help="Where the sender's time stamp is.")] = "ts",
    ts_unit: Annotated[str, typer.Option(help=f"Its unit: {', '.join(TS_UNITS)}.")] = "ms",
    heartbeat_type: Annotated[str, typer.Option(help="Type of the feed's heartbeats; empty for none.")] = "HEARTBEAT",
    header_env: upstream_options.HeaderEnv = None,
    header_file: upstream_options.HeaderFile = None,
    ca: upstream_options.Ca = None,
    client_cert: upstream_options.ClientCert = None,
    client_key: upstream_options.ClientKey = None,
    redact: redaction_options.Redact = None,
    redact_secret_env: redaction_options.SecretEnv = None,
    redact_secret_file: redaction_options.SecretFile = None,
    redact_keep_shape: redaction_options.KeepShape = False,
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
    metrics: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    log_format: LogFormatOption = LogFormat.TEXT,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int:
    """Stand between clients and a live server, and record both directions of every client into one session.

    Nothing that goes by is changed. Ctrl-C, SIGTERM or a limit closes the clients as a restart of the server
    would (1012) and seals the session.
    """
    from wsrecorder.jobs.record_options import RecordOptions
    from wsrecorder.jobs.tap_options import TapJobOptions, TapOptions
    from wsrecorder.net.transport import FeedOptions

    access = access_options.access_of(
        host, allow_origin, access_options.tokens_of(auth_token, auth_token_env, auth_token_file),
        access_options.jwt_rules_of(jwt_secret_env, jwt_secret_file, jwt_key, jwt_audience, jwt_issuer),
        access_options.certificate_of(cert, key),
        max_clients=max_clients, handshake_timeout=handshake_timeout,
    )  # fmt: skip
    server = upstream_options.upstream_of(
        [upstream], header=header, header_env=header_env, header_file=header_file,
        ca=ca, client_cert=client_cert, client_key=client_key,
    )  # fmt: skip
    tap_options = TapOptions(
        upstream,
        host=host,
        port=port,
        forward_headers=None if forward_header is None else frozenset(word.lower() for word in forward_header),
        headers=server.headers,
        deflate=deflate,
        max_frame_bytes=max_frame_of(max_frame),
        access=access,
        authorities=server.authorities,
        client_certificate=server.certificate,
    )
    redaction = redaction_options.rules_of(redact, redact_secret_env, redact_secret_file, keep_shape=redact_keep_shape)
    record = RecordOptions(
        feed=FeedOptions(upstream, secrets=server.secrets),
        library=library,
        name=name,
        into=into,
        limits=limits_of(rotate, max_events, duration),
        sync=sync,
        spool=spool,
        spool_max_bytes=parse_size(spool_max),
        dialect=dialect_of(type_path, ts_path, ts_unit, heartbeat_type),
        redaction=redaction,
        tool=f"wsrecorder {version('wsrecorder')}",
    )
    served = metrics_options("tap", metrics, metrics_host, quiet=quiet)
    on_terminal = begin_log(log_format, quiet=quiet)
    mishaps = Mishaps()
    summary = _tap(TapJobOptions(tap=tap_options, record=record), served, mishaps, on_terminal=on_terminal)
    return tell_mishaps(mishaps, _report(summary, as_json=as_json))


def _tap(options: TapJobOptions, metrics: MetricsOptions | None, mishaps: Mishaps, *, on_terminal: bool) -> TapSummary:
    from wsrecorder.cli.running import run_until_stopped
    from wsrecorder.cli.tap_panel import tap_panel
    from wsrecorder.clock import SystemClock
    from wsrecorder.jobs.tap import tap as run_tap
    from wsrecorder.store.memory import keep_memory_flat

    keep_memory_flat()
    # As for record: frames pass on when they come, not when the writer has finished with a batch.
    sys.setswitchinterval(0.0005)

    async def run(stop: asyncio.Event) -> TapSummary:
        panel = tap_panel(mishaps) if on_terminal else nullcontext()
        async with (
            ignoring_signal("a tap records everything that goes by, and has no --snapshot"),
            metrics_beside(metrics, mishaps) as measure,
            panel as shown,
        ):

            def on_started(job: TapJob) -> None:
                measure(lambda: _vitals(job))
                if shown is not None:
                    shown.watch(job)
                else:
                    say(f"tapping {job.shown_upstream}: connect to {job.state.shown_url} instead (Ctrl-C ends)")

            return await run_tap(options, SystemClock(), stop, on_started, mishaps)

    return run_until_stopped(run, mishaps)


def _vitals(job: TapJob) -> Vitals:
    from wsrecorder.jobs.vitals import TapVitals

    return TapVitals(job)


def _report(summary: TapSummary, *, as_json: bool) -> int:
    """Print what came of it; return the exit code."""
    outcome, state = summary.outcome, summary.state
    if as_json:
        print_json(_facts(summary))
    elif outcome.manifest is None:
        say("no client came: nothing was recorded")
    else:
        facts, added = outcome.manifest, state.added.summary_ms()
        say(
            f"recorded {show_number(state.messages_in, 'message')} from the server and {state.messages_out:,} to it, "
            f"{show_number(state.clients_served, 'connection')} ({show_bytes(facts.size_bytes)}), into {outcome.path}"
        )
        if added["p50"] is not None:
            say(f"added latency p50 {added['p50']:.3f} ms, p99 {added['p99']:.3f} ms, max {added['max']:.3f} ms")
    if not as_json:
        say_refused(state.refused)
    if not as_json and outcome.manifest is not None and outcome.manifest.redacted:
        redaction_options.say_redacted(outcome.manifest.redacted)
    if outcome.error is not None:
        print_error(outcome.error.message, outcome.error.hint)
        return outcome.error.exit_code
    return 0


def _facts(summary: TapSummary) -> dict[str, Any]:
    outcome, state = summary.outcome, summary.state
    manifest, error = outcome.manifest, outcome.error
    facts: dict[str, Any] = {
        "path": None if outcome.path is None else str(outcome.path),
        "url": state.shown_url,
        "connections": state.clients_served,
        "refused": sum(state.refused.values()),
        "refusals": dict(state.refused),
        "messages_in": state.messages_in,
        "messages_out": state.messages_out,
        "added_latency_ms": state.added.summary_ms(),
    }
    if manifest is not None:
        facts |= {
            "id": manifest.identity.id,
            "name": manifest.identity.name,
            "feed": manifest.identity.feed,
            "events": manifest.events,
            "messages": manifest.messages,
            "bytes": manifest.size_bytes,
            "duration_s": manifest.last_elapsed_ns / 1e9,
            "types": manifest.types,
            "gaps": manifest.gaps,
            "sealed": manifest.sealed,
            "longest_stall_ms": manifest.health.longest_stall_ms,
            "paused_ms": manifest.health.paused_ms,
            "redacted": manifest.redacted or {},
        }
    facts["error"] = None if error is None else {"message": error.message, "hint": error.hint}
    return facts
