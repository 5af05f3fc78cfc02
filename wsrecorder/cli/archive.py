"""``wsrec archive``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from wsrecorder.cli.app import app
from wsrecorder.cli.operating import LogFormat, LogFormatOption, begin_log
from wsrecorder.cli.options import Json, Quiet
from wsrecorder.cli.output import print_json, say, show_number
from wsrecorder.cli.recording import limits_of
from wsrecorder.cli.stream_options import need_nats, stream_address

if TYPE_CHECKING:
    from wsrecorder.jobs.archive import ArchiveOptions
    from wsrecorder.jobs.archive_feed import Archived

__all__ = ["archive"]


@app.command(epilog="Example: wsrec archive nats://localhost/EVENTS --into recordings --follow")
def archive(
    stream: Annotated[str, typer.Argument(metavar="nats://HOST/STREAM", help="The stream.")],
    into: Annotated[
        str,
        typer.Option("--into", metavar="LIBRARY", help="Folder of sessions, or s3://BUCKET/PREFIX (gs, az)."),
    ] = "recordings",
    feed: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this feed. Repeatable; all by default.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    rotate: Annotated[
        str, typer.Option(metavar="SIZE|TIME", help="Make a segment at this size, or age, or 'SIZE,TIME'.")
    ] = "64MiB,60s",
    group: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Group of consumers that remembers what is done; by default the library's."),
    ] = None,
    log_format: LogFormatOption = LogFormat.TEXT,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int:
    """Bring the sessions of a JetStream stream into a library, each event exactly once.

    It may be ended and killed at any moment, and goes on where it was. Several processes share the feeds of a stream,
    and take over from one that is gone; into object storage from any number of machines. While the store is away it
    waits, and what it has not taken stays in the stream.
    """
    need_nats()
    from wsrecorder.jobs.archive import ArchiveOptions
    from wsrecorder.jobs.archive_feed import Rotation
    from wsrecorder.store.place import place_of

    limits = limits_of(rotate, None, None)
    begin_log(log_format, quiet=quiet)
    options = ArchiveOptions(
        address=stream_address(stream), library=place_of(into), feeds=None if feed is None else frozenset(feed),
        follows=follow, rotation=Rotation(limits.segment_bytes, limits.segment_ns), group=group,
    )  # fmt: skip
    found = _archive(options)
    if as_json:
        print_json(
            {"library": into, "events": found.events, "segments": found.segments}
            | {"sessions": sorted(found.sessions), "sealed": sorted(found.sealed)}
        )
    else:
        say(
            f"archived {show_number(found.events, 'event')} of {show_number(len(found.sessions), 'session')} in "
            f"{show_number(found.segments, 'segment')} into {into}; {len(found.sealed):,} have ended"
        )
    return 0


def _archive(options: ArchiveOptions) -> Archived:
    from wsrecorder.cli.running import run_until_stopped
    from wsrecorder.clock import SystemClock
    from wsrecorder.jobs.archive import archive as run_archive
    from wsrecorder.store.memory import keep_memory_flat

    keep_memory_flat()

    async def run(stop: asyncio.Event) -> Archived:
        return await run_archive(options, SystemClock(), stop)

    return run_until_stopped(run)
