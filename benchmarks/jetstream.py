"""How fast events get into a JetStream stream of three servers on loopback, beside the loop that nats-py invites to."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

import msgspec

from benchmarks.figure import Figure
from benchmarks.load import payloads
from benchmarks.replaying import make_session
from tests.scale.nats_cluster import NatsCluster, nats_program
from wsrecorder.core.stream_address import parse_stream_address
from wsrecorder.jobs.log_session import LogSession
from wsrecorder.net.jetstream import EventLog, connect_log
from wsrecorder.store.session import ParquetStore

__all__ = ["figures"]

EVENTS = 200_000
PLAIN = 20_000
RATE = 1_000
RUNS = 3
WANTED = 2.0


def figures(folder: Path, *, scale: float = 1.0) -> list[Figure]:
    """Measure in a folder; nothing where nats-server is not installed.

    Args:
        folder: For all that is made.
        scale: How much of the whole is done.
    """
    program = nats_program()
    if program is None:
        return []
    (folder / "nats").mkdir()
    session = make_session(folder, "published", round(EVENTS * scale), 10**9 // RATE)
    with NatsCluster(program, folder / "nats") as cluster:
        return [asyncio.run(_publish(cluster, ParquetStore(session), round(PLAIN * scale)))]


async def _publish(cluster: NatsCluster, store: ParquetStore, plain: int) -> Figure:
    """Take turns: a session from the spool, each message acknowledged by two of three; and the loop."""
    ours, theirs = [], []
    async with connect_log(parse_stream_address(cluster.address("BENCH"))) as log:
        await log.ensure(3)
        for number in range(RUNS):
            theirs.append(await _plain(log, plain, number))
            ours.append(await _session(log, store, number))
    rate, peer = statistics.median(ours), statistics.median(theirs)
    return Figure(
        "publish into JetStream, R3 file stream on three servers",
        f"{rate:,.0f} events/s",
        f"nats-py `publish_async`, a message an event: {peer:,.0f} events/s",
        f"{rate / peer:.1f}×",
        f"≥ {WANTED:g}×",
        rate >= WANTED * peer,
    )


async def _session(log: EventLog, store: ParquetStore, number: int) -> float:
    manifest = store.manifest()
    # Another id each time: else the server would know the messages again.
    identity = msgspec.structs.replace(manifest.identity, id=f"{manifest.identity.id}-{number}")
    manifest = msgspec.structs.replace(manifest, identity=identity)
    session = LogSession(store, manifest)
    session.end(manifest)
    began = time.perf_counter()
    await session.publish(log)
    return manifest.events / (time.perf_counter() - began)


async def _plain(log: EventLog, count: int, number: int) -> float:
    frames = payloads(count)
    context = log.client.jetstream()
    began = time.perf_counter()
    acknowledged = [
        await context.publish_async("wsrec.plain.any", frame, headers={"Nats-Msg-Id": f"{number}-{index}"})
        for index, frame in enumerate(frames)
    ]
    await context.publish_async_completed()
    took_s = time.perf_counter() - began
    assert all(one.exception() is None for one in acknowledged)
    return count / took_s
