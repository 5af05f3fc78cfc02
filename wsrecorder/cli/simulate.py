"""``wsrec simulate``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsrecorder.cli.app import app
from wsrecorder.cli.operating import LogFormat, LogFormatOption, tell_mishaps
from wsrecorder.cli.options import Json, Quiet
from wsrecorder.cli.output import log_to_stderr, print_json, say, show_count, show_number
from wsrecorder.core.moment import parse_duration
from wsrecorder.jobs.mishaps import Mishaps

if TYPE_CHECKING:
    from wsrecorder.jobs.simulate import SimulateOptions, SimulateSummary

__all__ = ["simulate"]


@app.command(epilog="Example: wsrec simulate --rate 200 --seed 7 --port 9000")
def simulate(
    seed: Annotated[int, typer.Option(help="The same seed gives the same payloads apart from the clock.")] = 1,
    rate: Annotated[float, typer.Option(help="Events per second between bursts; 0 for bursts only.")] = 20.0,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    burst: Annotated[int, typer.Option(help="Events that follow each heartbeat at once, at least; 0 for none.")] = 20,
    heartbeat: Annotated[str, typer.Option(metavar="TIME", help="From one heartbeat to the next.")] = "30s",
    nan: Annotated[float, typer.Option(help="Share of scans and signals with a bare NaN or Infinity, 0 to 1.")] = 0.0,
    big_scan_every: Annotated[
        int, typer.Option(metavar="N", min=0, help="Each Nth scan is a frame of over 1 MiB; 0 is never.")
    ] = 0,
    drop_every: Annotated[
        str | None, typer.Option(metavar="TIME", help="Cut all connections this often, without a close frame.")
    ] = None,
    wait_for: Annotated[
        int, typer.Option(metavar="N", min=0, help="Clients to wait for before the engine starts; 0 starts at once.")
    ] = 1,
    max_events: Annotated[int | None, typer.Option(min=1, help="No more events after this many.")] = None,
    duration: Annotated[str | None, typer.Option(metavar="TIME", help="Stop after this long.")] = None,
    deflate: Annotated[bool, typer.Option("--deflate/--no-deflate", help="Compress for clients that offer it.")] = True,
    truth: Annotated[
        Path | None, typer.Option(metavar="FILE", help="At the end, write what really happened as JSON lines.")
    ] = None,
    log_format: LogFormatOption = LogFormat.TEXT,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int:
    """Serve a simulated trading engine as a live feed, until Ctrl-C or for a time.

    Every event type of the engine's feed comes from one seeded model: orders fill or are canceled,
    positions open, move their stop and close.
    """
    from wsrecorder.jobs.simulate import SimulateOptions, SimulatorOptions
    from wsrecorder.net.access import is_loopback

    if not is_loopback(host):
        say(f"warning: {host} can be reached from other machines, and the simulation asks nobody for a token")
    feed = SimulatorOptions(
        seed=seed,
        rate=rate,
        host=host,
        port=port,
        burst=burst,
        heartbeat_s=parse_duration(heartbeat) / 1e9,
        nan=nan,
        big_scan_every=big_scan_every,
        drop_every_s=None if drop_every is None else parse_duration(drop_every) / 1e9,
        max_events=max_events,
        wait_for=wait_for,
        deflate=deflate,
    )
    duration_s = None if duration is None else parse_duration(duration) / 1e9
    mishaps = Mishaps()
    options = SimulateOptions(feed, duration_s, truth)
    _report(_simulate(options, mishaps, log_format=log_format, quiet=quiet), as_json=as_json)
    return tell_mishaps(mishaps, 0)


def _simulate(options: SimulateOptions, mishaps: Mishaps, *, log_format: LogFormat, quiet: bool) -> SimulateSummary:
    from wsrecorder.cli.running import run_until_stopped
    from wsrecorder.clock import SystemClock
    from wsrecorder.jobs.simulate import serving_line
    from wsrecorder.jobs.simulate import simulate as run_simulation

    log_to_stderr(quiet=quiet, as_json=log_format is LogFormat.JSON)

    async def run(stop: asyncio.Event) -> SimulateSummary:
        return await run_simulation(
            options, SystemClock(), on_started=lambda url: say(serving_line(url, options)), stop=stop, mishaps=mishaps
        )

    return run_until_stopped(run, mishaps)


def _report(summary: SimulateSummary, *, as_json: bool) -> None:
    types = ", ".join(f"{name} {show_count(count)}" for name, count in list(summary.types.items())[:5])
    say(
        f"pushed {show_number(summary.events, 'event')} in {summary.duration_s:.1f} s "
        f"to {show_number(summary.clients, 'client')}" + (f": {types} …" if types else "")
    )
    if as_json:
        print_json(
            {
                "url": summary.url,
                "duration_s": summary.duration_s,
                "events": summary.events,
                "types": summary.types,
                "clients": summary.clients,
            }
        )
