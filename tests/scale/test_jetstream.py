"""A stream of a cluster of three as the log: nothing lost, nothing doubled, whatever is killed."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import websockets

from tests.cli.programs import wsrec
from tests.scale.nats_cluster import NatsCluster
from tests.scale.streams import STREAM, feed, recorder, spooled
from wsrecorder.clock import SystemClock
from wsrecorder.core.event import Event, Kind
from wsrecorder.core.log_batches import LogBatches
from wsrecorder.core.log_message import MESSAGE_ID, messages_of, session_of
from wsrecorder.core.stream_address import parse_stream_address
from wsrecorder.jobs.archive import ArchiveOptions, archive
from wsrecorder.jobs.log_session import LogSession
from wsrecorder.net.jetstream import EventLog, connect_log
from wsrecorder.net.log_reader import LogReader
from wsrecorder.store.library import Library
from wsrecorder.store.schema import iter_events
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import ParquetStore

pytestmark = [pytest.mark.scale, pytest.mark.timeout(180), pytest.mark.filterwarnings("default")]

FIXTURES = Path(__file__).parents[2] / "fixtures"


def raw(cluster: NatsCluster, subject: str = "wsrec.>") -> list[Any]:
    """Return the messages of a subject, as a plain consumer gets them."""

    async def read(client: Any) -> list[Any]:
        subscription = await client.jetstream().subscribe(subject, stream=STREAM, ordered_consumer=True)
        held: list[Any] = []
        while not held or held[-1].metadata.num_pending:
            held.append(await subscription.next_msg(10))
        return held

    found: list[Any] = cluster.ask(read)
    return found


def streamed(cluster: NatsCluster) -> dict[str, list[Event]]:
    """Return the events of each session in the stream, and see that no message is there twice."""
    batches: dict[str, LogBatches] = defaultdict(lambda: LogBatches(0))
    events: dict[str, list[Event]] = {}
    ids: set[str] = set()
    for message in raw(cluster, "wsrec.*.*"):
        if message.subject.startswith("wsrec.@lease."):
            continue
        assert message.headers[MESSAGE_ID] not in ids, "a message is there twice"
        ids.add(message.headers[MESSAGE_ID])
        session = session_of(message.headers)
        complete = batches[session].add(message.headers, message.data, message.metadata.sequence.stream)
        events.setdefault(session, []).extend(complete)
    return events


async def test_the_stream_holds_what_was_recorded_event_for_event(
    jetstream: NatsCluster, address: str, tmp_path: Path
) -> None:
    async with feed(tmp_path, 1_000) as url, recorder(url, address, tmp_path, "--duration", "3s") as program:
        code, _, said = await program.ended()
    assert code == 0, said
    found = await asyncio.to_thread(streamed, jetstream)
    assert found == spooled(tmp_path)
    assert len(next(iter(found.values()))) > 2_000


async def test_a_plain_consumer_filters_by_type_and_gets_its_order(
    jetstream: NatsCluster, address: str, tmp_path: Path
) -> None:
    async with feed(tmp_path, 1_000) as url, recorder(url, address, tmp_path, "--duration", "2s") as program:
        assert (await program.ended())[0] == 0
    messages = await asyncio.to_thread(raw, jetstream, "wsrec.engine.ORDER_UPDATE")
    frames = []
    for message in messages:
        sizes = [int(size) for size in message.headers.get("Wsrec-Sizes", str(len(message.data))).split(",")]
        start = 0
        for size in sizes:
            frames.append(message.data[start : start + size].decode())
            start += size
    (events,) = spooled(tmp_path).values()
    assert frames == [event.text for event in events if event.type == "ORDER_UPDATE"]


async def test_a_killed_leader_loses_nothing_and_doubles_nothing(
    jetstream: NatsCluster, address: str, tmp_path: Path
) -> None:
    async with feed(tmp_path, 3_000) as url, recorder(url, address, tmp_path, "--duration", "14s") as program:
        await program.says("recording into")
        await asyncio.sleep(3)
        killed = await asyncio.to_thread(jetstream.leader, STREAM)
        await asyncio.to_thread(jetstream.kill, killed)
        await asyncio.sleep(6)
        jetstream.start(killed)
        code, _, said = await program.ended()
    assert code == 0, said
    await asyncio.to_thread(jetstream.wait_until_ready)
    assert await asyncio.to_thread(streamed, jetstream) == spooled(tmp_path)


async def test_servers_that_are_away_are_waited_for(jetstream: NatsCluster, address: str, tmp_path: Path) -> None:
    async with feed(tmp_path, 1_000) as url, recorder(url, address, tmp_path) as program:
        await program.says("recording into")
        await asyncio.sleep(2)
        await asyncio.to_thread(jetstream.stop)
        await program.says("events wait in")
        for number in range(3):
            jetstream.start(number)
        await asyncio.to_thread(jetstream.wait_until_ready)
        await program.says("takes events again")
        program.signal(signal.SIGINT)
        code, _, said = await program.ended()
    assert code == 0, said
    assert await asyncio.to_thread(streamed, jetstream) == spooled(tmp_path)


async def test_what_a_killed_recorder_has_left_is_published_by_the_next(
    jetstream: NatsCluster, address: str, tmp_path: Path
) -> None:
    async with feed(tmp_path, 3_000) as url:
        async with recorder(url, address, tmp_path) as program:
            await program.says("recording into")
            await asyncio.sleep(1.5)
            program.signal(signal.SIGKILL)
            await program.ended()
        async with recorder(url, address, tmp_path, "--duration", "1s") as program:
            code, _, said = await program.ended()
    assert code == 0, said
    found = await asyncio.to_thread(streamed, jetstream)
    assert len(found) == 2
    assert found == spooled(tmp_path)


async def test_an_address_without_a_server_is_told_and_its_password_is_not(tmp_path: Path) -> None:
    async with feed(tmp_path, 100) as url:
        nobody = "nats://me:secret@127.0.0.1:1/EVENTS"
        async with recorder(url, nobody, tmp_path, "--max-events", "20") as program:
            code, _, said = await program.ended()
    assert code == 4
    assert "events are not in the stream yet" in said
    assert "secret" not in said
    (events,) = spooled(tmp_path).values()
    assert len(events) >= 20


async def test_a_stream_of_other_subjects_is_refused(jetstream: NatsCluster, address: str, tmp_path: Path) -> None:
    jetstream_of = lambda client: client.jetstream()._jsm  # noqa: E731
    await asyncio.to_thread(
        jetstream.ask, lambda client: jetstream_of(client).add_stream(name=STREAM, subjects=["orders.>"])
    )
    async with feed(tmp_path, 100) as url, recorder(url, address, tmp_path) as program:
        code, _, said = await program.ended()
    assert code == 3
    assert "takes orders.>, expected wsrec.>" in said


async def received(url: str) -> list[str | bytes]:
    """Return all that a client of the endpoint gets until it is closed."""
    frames = []
    async with websockets.connect(url, max_size=None) as client:
        with suppress(websockets.ConnectionClosed):
            async for frame in client:
                frames.append(frame)
    return frames


def messages_in(events: list[Event]) -> list[str | bytes | None]:
    return [event.binary if event.text is None else event.text for event in events if event.kind is Kind.MESSAGE]


async def test_history_goes_over_to_live_without_a_gap_a_double_or_a_reorder(
    jetstream: NatsCluster, address: str, tmp_path: Path
) -> None:
    async with feed(tmp_path, 2_000) as url, recorder(url, address, tmp_path, "--duration", "16s") as recording:
        await recording.says("recording into")
        await asyncio.sleep(4)
        arguments = ("replay", address, "--port", "0", "--verbatim", "--at-end", "exit", "--speed", "4")
        async with (
            wsrec(*arguments, cwd=tmp_path) as replay,
            wsrec(*arguments, "--from", "#1500", cwd=tmp_path) as later,
        ):
            clients = [asyncio.create_task(received(await one.url())) for one in (replay, later)]
            assert (await recording.ended())[0] == 0
            async with asyncio.timeout(60):
                whole, part = await asyncio.gather(*clients)
            codes = [(await one.ended())[0] for one in (replay, later)]
    (events,) = spooled(tmp_path).values()
    assert codes == [0, 0]
    assert whole == messages_in(events)
    assert part == messages_in(events[1500:])


async def test_a_replay_begins_at_a_time_and_plays_what_a_session_on_the_disk_plays(
    jetstream: NatsCluster, address: str, tmp_path: Path
) -> None:
    async with feed(tmp_path, 500) as url, recorder(url, address, tmp_path, "--duration", "4s") as recording:
        assert (await recording.ended())[0] == 0
    (folder,) = (tmp_path / "spool" / f"nats-{STREAM}").iterdir()
    frames = []
    for session in (f"{address}/engine", str(folder)):
        arguments = (
            "replay",
            session,
            "--port",
            "0",
            "--at-end",
            "exit",
            "--speed",
            "max",
            "--from",
            "2s",
            "--verbatim",
        )
        async with wsrec(*arguments, "--types", "ORDER_UPDATE,SIGNAL", cwd=tmp_path) as replay:
            async with asyncio.timeout(30):
                frames.append(await received(await replay.url()))
            await replay.ended()
    assert frames[0] == frames[1]
    assert frames[0]


async def test_a_session_that_is_not_in_the_stream_is_told(
    jetstream: NatsCluster, address: str, tmp_path: Path
) -> None:
    async with wsrec("replay", address, cwd=tmp_path) as replay:
        code, _, said = await replay.ended()
    assert code == 4
    assert "is not there" in said


def in_library(folder: Path) -> dict[str, list[Event]]:
    return {
        store.identity().id: [event for rows in store.batches(Selection()) for event in iter_events(rows)]
        for store in Library(folder / "library").stores()
    }


async def archive_once(address: str, folder: Path) -> dict[str, Any]:
    async with wsrec("archive", address, "--into", "library", "--json", cwd=folder) as program:
        code, out, said = await program.ended()
    assert code == 0, said
    facts: dict[str, Any] = json.loads(out)
    return facts


async def test_an_archive_holds_what_was_recorded_and_nothing_twice(
    jetstream: NatsCluster, address: str, tmp_path: Path
) -> None:
    async with feed(tmp_path, 1_000) as url, recorder(url, address, tmp_path, "--duration", "3s") as recording:
        assert (await recording.ended())[0] == 0
    expected = spooled(tmp_path)
    facts = await archive_once(address, tmp_path)
    assert facts["sealed"] == list(expected)
    assert facts["events"] == sum(map(len, expected.values()))
    assert in_library(tmp_path) == expected
    assert (await archive_once(address, tmp_path))["events"] == 0
    async with wsrec("verify", "latest", "--library", "library", cwd=tmp_path) as verify:
        assert (await verify.ended())[0] == 0


@pytest.mark.parametrize("seed", [1, 2])
async def test_an_archive_killed_at_any_moment_goes_on_where_it_was(
    seed: int, jetstream: NatsCluster, address: str, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    async with feed(tmp_path, 2_000) as url, recorder(url, address, tmp_path, "--duration", "15s") as recording:
        await recording.says("recording into")
        arguments = ("archive", address, "--into", "library", "--follow", "--rotate", "100KiB,200ms")
        while recording.process.returncode is None:
            async with wsrec(*arguments, cwd=tmp_path) as program:
                await asyncio.sleep(chance.uniform(1.0, 3.0))
                program.process.kill()
                await program.process.communicate()
            with suppress(TimeoutError):
                await asyncio.wait_for(recording.process.wait(), 0.05)
    await archive_once(address, tmp_path)
    found = in_library(tmp_path)
    assert found == spooled(tmp_path)
    (store,) = Library(tmp_path / "library").stores()
    assert len(store.manifest().segments) > 3
    assert store.manifest().sealed


async def test_archives_share_the_feeds_and_take_over(jetstream: NatsCluster, address: str, tmp_path: Path) -> None:
    follow = ("archive", address, "--into", "library", "--follow", "--rotate", "100KiB,200ms")
    async with (
        feed(tmp_path, 500) as url,
        recorder(url, address, tmp_path, "--duration", "12s", name="one") as one,
        recorder(url, address, tmp_path, "--duration", "12s", name="two.b") as two,
    ):
        for recording in (one, two):
            await recording.says("recording into")
        async with wsrec(*follow, cwd=tmp_path) as first, wsrec(*follow, cwd=tmp_path) as second:
            await asyncio.sleep(5)
            first.process.kill()
            await first.process.communicate()
            for recording in (one, two):
                assert (await recording.ended())[0] == 0
            await asyncio.sleep(4)
            second.signal(signal.SIGINT)
            assert (await second.ended())[0] == 0
    assert in_library(tmp_path) == spooled(tmp_path)
    assert all(store.manifest().sealed for store in Library(tmp_path / "library").stores())


def wait_for_subject(cluster: NatsCluster, subject: str) -> None:
    """Wait until the stream has a message of a subject."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(Exception):
            cluster.ask(lambda client: client.jetstream()._jsm.get_last_msg(STREAM, subject))
            return
        time.sleep(0.1)
    raise AssertionError(f"nothing of {subject} after 30 s")


async def frames_of(url: str, into: list[str], stop: asyncio.Event) -> None:
    """Note all that the feed sends, over a connection of our own."""
    async with websockets.connect(url, max_size=None) as client:
        while not stop.is_set():
            with suppress(TimeoutError):
                into.append(str(await asyncio.wait_for(client.recv(), 0.2)))


async def test_of_two_recorders_of_a_session_one_stands_in_for_the_other(
    jetstream: NatsCluster, address: str, tmp_path: Path
) -> None:
    sent: list[str] = []
    stop = asyncio.Event()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    pair = ("--session-id", "engine-1")
    async with feed(tmp_path, 1_000) as url, recorder(url, address, tmp_path / "a", *pair) as first:
        await asyncio.to_thread(wait_for_subject, jetstream, "wsrec.engine.ENGINE_UPDATE")
        async with recorder(url, address, tmp_path / "b", *pair, "--duration", "20s") as second:
            await second.says("standing by")
            listening = asyncio.create_task(frames_of(url, sent, stop))
            await asyncio.sleep(3)
            first.process.kill()
            await first.process.communicate()
            await second.says("going on with event")
            await asyncio.sleep(3)
            stop.set()
            await listening
            code, _, said = await second.ended()
    assert code == 0, said
    (events,) = (await asyncio.to_thread(streamed, jetstream)).values()
    assert [event.seq for event in events] == list(range(len(events)))
    assert all(one.elapsed_ns <= other.elapsed_ns for one, other in pairwise(events))
    texts = [event.text or "" for event in events if event.type not in (None, "HEARTBEAT")]
    listened = [text for text in sent if '"HEARTBEAT"' not in text]
    start = next(index for index in range(len(texts)) if texts[index : index + 20] == listened[:20])
    assert len(listened) > 5_000
    assert texts[start : start + len(listened)] == listened


@asynccontextmanager
async def begun(
    folder: Path, address: str, duplicates_s: float
) -> AsyncIterator[tuple[EventLog, LogSession, list[Event]]]:
    """A session on the disk of which the stream has the first batch, and of the second one half the messages."""
    store = Library(FIXTURES).find("parquet-v1")
    assert isinstance(store, ParquetStore)
    manifest = store.manifest()
    events = [event for rows in store.batches(Selection()) for event in iter_events(rows)]
    identity = manifest.identity
    async with connect_log(parse_stream_address(address)) as log:
        config = {"subjects": ["wsrec.>"], "num_replicas": 3, "duplicate_window": duplicates_s}
        await log.context._jsm.add_stream(name=STREAM, **config)
        await LogSession(store, manifest).resume(log)
        half = len(events) // 2
        first, second = (
            messages_of(identity.id, identity.name, part, 10**5) for part in (events[:half], events[half:])
        )
        await log.publish([*first, *second[: len(second) // 2]], 10)
        session = LogSession(store, manifest)
        session.end(manifest)
        yield log, session, events


async def test_a_batch_that_was_begun_is_completed_and_not_repeated(
    jetstream: NatsCluster, address: str, tmp_path: Path
) -> None:
    async with begun(tmp_path, address, 0.1) as (log, session, events):
        await asyncio.sleep(0.5)  # the server knows nothing again any more
        await session.publish(log)
        (found,) = (await asyncio.to_thread(streamed, jetstream)).values()
        assert found == events


async def test_what_was_committed_and_not_acknowledged_is_not_written_twice(
    jetstream: NatsCluster, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hold_back(reader: LogReader, position: int) -> None:
        """As if it were killed right before."""

    options = ArchiveOptions(address=parse_stream_address(address), library=tmp_path)
    async with begun(tmp_path, address, 60) as (log, session, events):
        with monkeypatch.context() as killed:
            killed.setattr(LogReader, "acknowledge", hold_back)
            done = await archive(options, SystemClock(), asyncio.Event())
        assert done.events == len(events) // 2
        await session.publish(log)
    done = await archive(options, SystemClock(), asyncio.Event())
    assert done.events == len(events) - len(events) // 2
    (store,) = Library(tmp_path).stores()
    assert [event for rows in store.batches(Selection()) for event in iter_events(rows)] == events


async def all_of(reader: LogReader) -> list[int]:
    """Return the positions of all messages that a reader gets."""
    positions: list[int] = []
    while messages := await reader.fetch(1):
        positions += [message.position for message in messages]
    return positions


@pytest.mark.parametrize("is_gone", [False, True])
async def test_a_group_that_begins_anew_leaves_out_nothing_that_was_not_acknowledged(
    is_gone: bool, jetstream: NatsCluster, address: str, tmp_path: Path
) -> None:
    async with begun(tmp_path, address, 60) as (log, _, _):
        one, other = (LogReader(log, "wsrec.*.*", group="wsrec-test") for _ in range(2))
        positions = await all_of(one)
        await one.acknowledge(positions[1])
        await one.close()  # as after a lost connection: what it holds is not acknowledged
        if is_gone:
            await log.context._jsm.delete_consumer(STREAM, "wsrec-test")
        assert await all_of(one) == positions[2:]
        await one.close()  # and then it is killed
        assert await all_of(other) == positions[2:]
        await other.close()
