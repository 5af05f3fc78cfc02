"""A stream archived into object storage, real servers both: each event once, whoever is killed, frozen or away."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cli.programs import wsrec
from tests.scale.nats_cluster import NatsCluster
from tests.scale.proxy import Proxy
from tests.scale.streams import STREAM, events_in, feed, recorder, spooled
from tests.scale.weed import Weed
from wsrecorder.clock import SystemClock
from wsrecorder.core.event import Event
from wsrecorder.core.log_message import token
from wsrecorder.core.stream_address import parse_stream_address
from wsrecorder.jobs.archive import ArchiveOptions, archive
from wsrecorder.jobs.archive_feed import FeedArchive, Rotation
from wsrecorder.jobs.archive_turn import LeasedTurn
from wsrecorder.net.jetstream import connect_log
from wsrecorder.net.log_consumers import consumers
from wsrecorder.net.log_reader import LogReader
from wsrecorder.store import disk
from wsrecorder.store.library import Library
from wsrecorder.store.objects import Objects, open_objects
from wsrecorder.store.place import place_of

pytestmark = [pytest.mark.scale, pytest.mark.timeout(180), pytest.mark.filterwarnings("default")]

FOLLOW = ("--follow", "--rotate", "50KiB,200ms")
SMALL = Rotation(30_000, 60_000_000_000)
FETCHED = "wsrecorder.net.log_reader._MOST_MESSAGES"


@pytest.fixture(autouse=True)
def environment(weed: Weed, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All reach the store through the proxy, this process too."""
    for name, value in weed.environment(proxy.url).items():
        monkeypatch.setenv(name, value)
    open_objects.cache_clear()
    yield
    open_objects.cache_clear()


async def record(address: str, folder: Path, *, seconds: int = 3, names: tuple[str, ...] = ("one", "two.b")) -> None:
    """Record feeds into the stream, to their ends."""
    async with feed(folder, 1_000) as url:
        for name in names:
            async with recorder(url, address, folder, "--duration", f"{seconds}s", name=name) as recording:
                code, _, said = await recording.ended()
                assert code == 0, said


async def archive_once(address: str, library: str, folder: Path) -> dict[str, Any]:
    async with wsrec("archive", address, "--into", library, "--json", cwd=folder) as program:
        code, out, said = await program.ended()
    assert code == 0, said
    facts: dict[str, Any] = json.loads(out)
    return facts


async def sound(library: str, folder: Path) -> None:
    """See that all sessions are sealed, and that every byte of them is right."""
    for store in Library(place_of(library)).stores():
        assert store.manifest().sealed
        async with wsrec("verify", store.identity().id, "--library", library, cwd=folder) as verify:
            code, _, said = await verify.ended()
        assert code == 0, said


async def found_in(library: str) -> dict[str, list[Event]]:
    return await asyncio.to_thread(events_in, library)


async def test_a_stream_archived_there_is_what_it_is_in_a_folder(
    jetstream: NatsCluster, address: str, library: str, tmp_path: Path
) -> None:
    await record(address, tmp_path)
    there = await archive_once(address, library, tmp_path)
    here = await archive_once(address, "library", tmp_path)
    assert {**there, "library": ""} == {**here, "library": ""}
    expected = spooled(tmp_path)
    assert len(expected) == 2
    assert await found_in(library) == expected
    assert events_in(tmp_path / "library") == expected
    assert (await archive_once(address, library, tmp_path))["events"] == 0
    await sound(library, tmp_path)
    assert disk.list_names(tmp_path) == ["library", "spool"]


async def test_archivers_killed_at_any_moment_go_on_where_they_were(
    jetstream: NatsCluster, address: str, library: str, tmp_path: Path
) -> None:
    chance, committed = random.Random(3), []
    async with feed(tmp_path, 1_000) as url, recorder(url, address, tmp_path, "--duration", "30s") as recording:
        await recording.says("recording into")
        while recording.process.returncode is None:
            async with wsrec("archive", address, "--into", library, *FOLLOW, cwd=tmp_path) as program:
                # Who was killed gave nothing back: for five seconds it is waited whether he answers.
                await asyncio.sleep(chance.uniform(6.0, 9.0))
                program.process.kill()
                await program.process.communicate()
            committed.append(sum(map(len, (await found_in(library)).values())))
            with suppress(TimeoutError):
                await asyncio.wait_for(recording.process.wait(), 0.05)
    await archive_once(address, library, tmp_path)
    assert await found_in(library) == spooled(tmp_path)
    assert 0 < committed[0] < committed[1] < committed[2]
    await sound(library, tmp_path)


class Killed(BaseException):
    """Nothing of ours catches it; unlike SIGKILL it lets the lease go, so that the next one need not wait."""


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_is_done_last_the_next_one_goes_on_behind_it(
    seed: int, jetstream: NatsCluster, address: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await record(address, tmp_path, seconds=4, names=("engine",))
    chance, put, acknowledge = random.Random(seed), Objects._put, LogReader.acknowledge

    def killing_put(objects: Objects, key: str, content: bytes, mode: Any) -> str:
        if chance.random() < 0.1:
            raise Killed
        found = put(objects, key, content, mode)
        if chance.random() < 0.1:
            raise Killed
        return found

    async def killing_acknowledge(reader: LogReader, position: int) -> None:
        if chance.random() < 0.1:
            raise Killed
        await acknowledge(reader, position)

    monkeypatch.setattr(Objects, "_put", killing_put)
    monkeypatch.setattr(LogReader, "acknowledge", killing_acknowledge)
    monkeypatch.setattr(FETCHED, 4)
    options = ArchiveOptions(address=parse_stream_address(address), library=place_of(library), rotation=SMALL)
    kills = 0
    while True:
        try:
            await archive(options, SystemClock(), asyncio.Event())
            break
        except Killed:
            kills += 1
    assert kills > 5
    assert await found_in(library) == spooled(tmp_path)
    await sound(library, tmp_path)


async def test_of_two_archivers_one_stands_in_for_the_other_killed_or_frozen(
    jetstream: NatsCluster, address: str, library: str, tmp_path: Path
) -> None:
    arguments = ("archive", address, "--into", library, *FOLLOW, "--log-format", "text")
    async with (
        feed(tmp_path, 500) as url,
        recorder(url, address, tmp_path, "--duration", "36s", name="one") as one,
        recorder(url, address, tmp_path, "--duration", "36s", name="two.b") as two,
    ):
        for recording in (one, two):
            await recording.says("recording into")
        async with wsrec(*arguments, cwd=tmp_path) as first:
            await asyncio.sleep(4)
            async with wsrec(*arguments, cwd=tmp_path) as second:
                await asyncio.sleep(3)
                first.signal(signal.SIGSTOP)
                before = sum(map(len, (await found_in(library)).values()))
                await asyncio.sleep(10)
                taken_over = sum(map(len, (await found_in(library)).values()))
                first.signal(signal.SIGCONT)
                await first.says("another process archives|is gone on with behind that")
                await asyncio.sleep(2)
                second.process.kill()
                await second.process.communicate()
                for recording in (one, two):
                    assert (await recording.ended())[0] == 0
                await asyncio.sleep(9)
                first.signal(signal.SIGINT)
                assert (await first.ended())[0] == 0
    assert 0 < before < taken_over
    assert await found_in(library) == spooled(tmp_path)
    await sound(library, tmp_path)


async def test_without_a_lease_too_each_event_is_there_once(
    jetstream: NatsCluster, address: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as like archive the same feed, as if each had a lease that nobody looks at."""
    await record(address, tmp_path, seconds=3, names=("engine",))
    holds, chance, turns = iter(range(1, 10_000)), random.Random(5), []
    together, begun = asyncio.Barrier(3), set[LeasedTurn]()

    async def take(turn: LeasedTurn, stop: asyncio.Event) -> bool:
        await turn._hold(next(holds))
        turns.append(turn.consumer)
        return True

    async def is_ours(turn: LeasedTurn) -> bool:
        if turn not in begun and len(begun) < 3:  # nobody writes before all three can
            begun.add(turn)
            await together.wait()
        await asyncio.sleep(chance.uniform(0, 0.05))
        return True

    monkeypatch.setattr(LeasedTurn, "take", take)
    monkeypatch.setattr(LeasedTurn, "is_ours", is_ours)
    for name in ("began", "close"):  # the consumers of the others stay
        monkeypatch.setattr(LeasedTurn, name, lambda turn: asyncio.sleep(0))
    monkeypatch.setattr(FETCHED, 4)
    options = ArchiveOptions(address=parse_stream_address(address), library=place_of(library), rotation=SMALL)
    # Each makes segments of its own; where two are alike to the byte, it does not matter whose it is.
    monkeypatch.setattr(FeedArchive, "_is_due", lambda archiving: archiving._began_ns and chance.random() < 0.3)
    await asyncio.gather(*(archive(options, SystemClock(), asyncio.Event()) for _ in range(3)))
    assert await found_in(library) == spooled(tmp_path)
    assert len(turns) > 5  # each after the third is of one who was overtaken
    await sound(library, tmp_path)


async def test_a_store_that_is_away_is_waited_for_and_nothing_is_acknowledged(
    jetstream: NatsCluster, address: str, library: str, proxy: Proxy, tmp_path: Path
) -> None:
    async with feed(tmp_path, 1_000) as url, recorder(url, address, tmp_path, "--duration", "20s") as recording:
        await recording.says("recording into")
        async with (
            wsrec("archive", address, "--into", library, *FOLLOW, cwd=tmp_path) as program,
            connect_log(parse_stream_address(address)) as log,
        ):
            await asyncio.sleep(4)
            proxy.switch(is_on=False)
            await program.says("feed engine waits in the stream")
            before = await consumers(log)
            await asyncio.sleep(3)
            assert await consumers(log) == before
            assert max(before.values()) > 0
            proxy.switch(is_on=True)
            await program.says("the store is back")
            assert (await recording.ended())[0] == 0
            await asyncio.sleep(3)
            program.signal(signal.SIGINT)
            code, _, said = await program.ended()
            assert code == 0, said
            (name,) = await consumers(log)
            assert re.fullmatch(r"wsrec-archive-[0-9a-f]{8}-engine@\d+", name)
    assert await found_in(library) == spooled(tmp_path)
    await sound(library, tmp_path)


async def test_an_archiver_that_is_ended_while_the_store_is_away_says_so(
    jetstream: NatsCluster, address: str, library: str, proxy: Proxy, tmp_path: Path
) -> None:
    await record(address, tmp_path, seconds=1, names=("engine",))
    proxy.switch(is_on=False)
    async with wsrec("archive", address, "--into", library, cwd=tmp_path) as program:
        await program.says("feed engine waits in the stream")
        program.signal(signal.SIGINT)
        code, _, said = await program.ended()
    assert code == 4
    assert "cannot use s3://" in said
    proxy.switch(is_on=True)
    await archive_once(address, library, tmp_path)
    assert await found_in(library) == spooled(tmp_path)


async def test_a_stream_that_takes_no_lease_is_refused(
    jetstream: NatsCluster, address: str, library: str, tmp_path: Path
) -> None:
    of = lambda client: client.jetstream()._jsm  # noqa: E731
    subjects = [f"wsrec.{token('one')}.>", f"wsrec.{token('two.b')}.>"]
    await asyncio.to_thread(jetstream.ask, lambda client: of(client).add_stream(name=STREAM, subjects=subjects))
    await record(address, tmp_path, seconds=1, names=("one",))
    async with wsrec("archive", address, "--into", library, cwd=tmp_path) as program:
        code, _, said = await program.ended()
    assert code == 3
    assert "takes no wsrec.@lease." in said
