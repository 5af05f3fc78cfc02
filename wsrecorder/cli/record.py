"""``wsrec record``."""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsrecorder.cli import redaction_options, upstream_options
from wsrecorder.cli.app import app
from wsrecorder.cli.black_box_options import (
    Keep,
    KeepSize,
    Post,
    Pre,
    Snapshot,
    SnapshotRequests,
    Trigger,
    black_box_of,
    keeping_of,
    say_snapshots,
    snapshots_facts,
)
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
from wsrecorder.cli.spool_options import Spool, SpoolMax
from wsrecorder.cli.stream_options import KeepSpool, Replicas, SessionId, destination_of
from wsrecorder.core.dialect import TS_UNITS
from wsrecorder.core.moment import parse_duration
from wsrecorder.core.recorder import Retry
from wsrecorder.jobs.mishaps import Mishaps

if TYPE_CHECKING:
    from wsrecorder.core.retention import Limit
    from wsrecorder.jobs.feed_recorder import FeedRecorder
    from wsrecorder.jobs.record_options import Outcome, RecordOptions
    from wsrecorder.jobs.vitals import Vitals

__all__ = ["record"]


@app.command(epilog="Example: wsrec record ws://localhost:8000/ws/ --name engine --duration 10m")
def record(
    urls: Annotated[list[str], typer.Argument(metavar="URL…", help="ws:// or wss:// URLs, one session each.")],
    library: LibraryOption = Path("recordings"),
    name: Annotated[str | None, typer.Option(help="Name of the session; by default the host's.")] = None,
    into: Annotated[
        str | None,
        typer.Option(
            metavar="NAME.duckdb|nats://HOST/STREAM", help="Record into a new DuckDB file, or into a JetStream stream."
        ),
    ] = None,
    duration: Annotated[str | None, typer.Option(metavar="TIME", help="Stop after this long, such as 10m.")] = None,
    max_events: Annotated[int | None, typer.Option(min=1, help="Stop after this many frames.")] = None,
    send: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Send this text frame after each connect. Repeatable.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="'NAME: VALUE'", help="One more handshake header. Repeatable.")
    ] = None,
    origin: Annotated[str | None, typer.Option(help="Value of the header Origin.")] = None,
    subprotocol: Annotated[list[str] | None, typer.Option(help="Subprotocol to offer. Repeatable.")] = None,
    reconnect: Annotated[str, typer.Option(metavar="TIME", help="Wait before reconnecting; 0 ends instead.")] = "5s",
    reconnect_max: Annotated[
        str, typer.Option(metavar="TIME", help="Longest wait: it doubles while connecting fails.")
    ] = "30s",
    stall: Annotated[
        str, typer.Option(metavar="TIME", help="Silence that counts as a lost connection; 0 is never.")
    ] = "90s",
    max_frame: Annotated[str, typer.Option(metavar="SIZE", help="Largest frame; a larger one is a gap.")] = "64MiB",
    rotate: Annotated[
        str, typer.Option(metavar="SIZE|TIME", help="Seal a segment at this size, or age, or 'SIZE,TIME'.")
    ] = "64MiB,5m",
    sync: Annotated[
        bool, typer.Option("--sync/--no-sync", help="Sync each batch to the disk: a crash loses 100 ms at most.")
    ] = True,
    min_free: Annotated[
        str, typer.Option(metavar="SIZE", help="Seal and end before the disk has less than this left; 0 fills it.")
    ] = "500MB",
    snapshot: Snapshot = None,
    trigger: Trigger = None,
    pre: Pre = None,
    post: Post = None,
    keep: Keep = None,
    keep_size: KeepSize = None,
    spool: Spool = None,
    spool_max: SpoolMax = "10GB",
    replicas: Replicas = 1,
    keep_spool: KeepSpool = False,
    session_id: SessionId = None,
    type_path: Annotated[str, typer.Option(metavar="PATH", help="Where a message's type is, such as data.e.")] = "type",
    ts_path: Annotated[str, typer.Option(metavar="PATH", help="Where the sender's time stamp is.")] = "ts",
    ts_unit: Annotated[str, typer.Option(help=f"Its unit: {', '.join(TS_UNITS)}.")] = "ms",
    heartbeat_type: Annotated[str, typer.Option(help="Type of the feed's heartbeats; empty for none.")] = "HEARTBEAT",
    transport: Annotated[
        str, typer.Option(help="websockets, picows (extra fast), or auto: the fastest installed.")
    ] = "auto",
    header_env: upstream_options.HeaderEnv = None,
    header_file: upstream_options.HeaderFile = None,
    query_env: upstream_options.QueryEnv = None,
    subprotocol_env: upstream_options.SubprotocolEnv = None,
    send_env: upstream_options.SendEnv = None,
    ca: upstream_options.Ca = None,
    client_cert: upstream_options.ClientCert = None,
    client_key: upstream_options.ClientKey = None,
    redact: redaction_options.Redact = None,
    redact_secret_env: redaction_options.SecretEnv = None,
    redact_secret_file: redaction_options.SecretFile = None,
    redact_keep_shape: redaction_options.KeepShape = False,
    metrics: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    log_format: LogFormatOption = LogFormat.TEXT,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int:
    """Record every frame of live WebSocket feeds, each into a session of its own.

    Stops at Ctrl-C, SIGTERM or a limit; what was recorded is sealed then. A lost connection is marked in
    the recording and made again. With --snapshot only the last minutes are kept, until something triggers.
    """
    from wsrecorder.jobs.record_options import RecordOptions
    from wsrecorder.net.transport import FeedOptions, choose_transport

    file, stream = destination_of(into, len(urls), replicas, session_id, keep_spool=keep_spool)
    black_box = black_box_of(snapshot, trigger, pre, post)
    keeping = keeping_of(keep, keep_size, file)
    upstream = upstream_options.upstream_of(
        urls, header=header, header_env=header_env, header_file=header_file, query_env=query_env,
        subprotocol=subprotocol, subprotocol_env=subprotocol_env,
        ca=ca, client_cert=client_cert, client_key=client_key,
    )  # fmt: skip
    tls, texts = upstream.tls(), (*(send or ()), *upstream_options.texts_of(send_env))
    redaction = redaction_options.rules_of(redact, redact_secret_env, redact_secret_file, keep_shape=redact_keep_shape)
    options = [
        RecordOptions(
            feed=FeedOptions(
                upstream.url(url),
                headers=upstream.headers,
                origin=origin,
                subprotocols=upstream.subprotocols,
                max_frame_bytes=max_frame_of(max_frame),
                tls=tls,
                secrets=upstream.secrets,
            ),
            library=library,
            name=name,
            into=file,
            stream=stream,
            send=texts,
            retry=Retry(parse_duration(reconnect) / 1e9, parse_duration(reconnect_max) / 1e9),
            stall_s=parse_duration(stall) / 1e9,
            limits=limits_of(rotate, max_events, duration),
            sync=sync,
            spool=spool,
            spool_max_bytes=parse_size(spool_max),
            min_free_bytes=parse_size(min_free),
            dialect=dialect_of(type_path, ts_path, ts_unit, heartbeat_type),
            transport=choose_transport(transport),
            redaction=redaction,
            tool=f"wsrecorder {version('wsrecorder')}",
            black_box=black_box,
        )
        for url in urls
    ]
    served = metrics_options("record", metrics, metrics_host, quiet=quiet)
    on_terminal = begin_log(log_format, quiet=quiet)
    mishaps = Mishaps()
    outcomes = _record(options, served, keeping, mishaps, on_terminal=on_terminal)
    return tell_mishaps(mishaps, _report(outcomes, as_json=as_json))


def _record(
    options: list[RecordOptions],
    metrics: MetricsOptions | None,
    keeping: Limit | None,
    mishaps: Mishaps,
    *,
    on_terminal: bool,
) -> list[Outcome]:
    from wsrecorder.cli.panel import record_panel
    from wsrecorder.cli.running import run_until_stopped
    from wsrecorder.clock import SystemClock
    from wsrecorder.jobs.record import record_feeds
    from wsrecorder.store.memory import keep_memory_flat

    keep_memory_flat()
    # A thread that wants the interpreter asks for it every 0.5 ms instead of every 5: frames are stamped when
    # they come, not when the writer has finished with a batch.
    sys.setswitchinterval(0.0005)
    clock = SystemClock()
    requests = SnapshotRequests(is_wanted=any(entry.black_box is not None for entry in options))

    async def run(stop: asyncio.Event) -> list[Outcome]:
        panel = record_panel(options, mishaps) if on_terminal else nullcontext()
        async with requests.on_signal(), metrics_beside(metrics, mishaps, requests.actions) as measure, panel as shown:

            def on_started(recorders: list[FeedRecorder]) -> None:
                requests.watch(recorders)
                measure(lambda: _vitals(recorders))
                if shown is not None:
                    shown.watch(recorders)

            return await record_feeds(options, clock, stop, on_started, keeping, mishaps)

    return run_until_stopped(run, mishaps)


def _vitals(recorders: list[FeedRecorder]) -> Vitals:
    from wsrecorder.jobs.vitals import RecordVitals

    return RecordVitals(recorders)


def _report(outcomes: list[Outcome], *, as_json: bool) -> int:
    """Print a line for each recording; return the exit code."""
    for outcome in outcomes:
        if as_json:
            print_json(_facts(outcome))
        elif outcome.snapshots is not None:
            say_snapshots(outcome, outcome.snapshots)
        elif outcome.manifest is not None:
            facts = outcome.manifest
            say(
                f"recorded {show_number(facts.messages, 'message')} ({show_bytes(facts.size_bytes)}) in "
                f"{facts.last_elapsed_ns / 1e9:.1f} s, {show_number(facts.gaps, 'gap')}, into {outcome.path}"
            )
        if not as_json and outcome.manifest is not None and outcome.manifest.redacted:
            redaction_options.say_redacted(outcome.manifest.redacted)
        if outcome.error is not None:
            print_error(outcome.error.message, outcome.error.hint)
    return next((outcome.error.exit_code for outcome in outcomes if outcome.error is not None), 0)


def _facts(outcome: Outcome) -> dict[str, Any]:
    manifest, error = outcome.manifest, outcome.error
    facts: dict[str, Any] = {"path": None if outcome.path is None else str(outcome.path)}
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
            "connections": manifest.connections,
            "reconnects": manifest.health.reconnects,
            "gaps": manifest.gaps,
            "segments": len(manifest.segments),
            "sealed": manifest.sealed,
            "longest_stall_ms": manifest.health.longest_stall_ms,
            "paused_ms": manifest.health.paused_ms,
            "redacted": manifest.redacted or {},
        }
    if outcome.snapshots is not None:
        facts |= {"id": None, "snapshots": snapshots_facts(outcome.snapshots)}
    facts["error"] = None if error is None else {"message": error.message, "hint": error.hint}
    return facts
