"""Several replays behind HAProxy are one endpoint: whole streams, keys kept together, the dead and the drained left."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks.balancer import CONFIG, NAMES, Balancer, configured
from docs.example import MONDAY, add_session
from tests.cli.programs import Program, wsrec
from wsrecorder.analysis.session import open_session

pytestmark = [pytest.mark.scale, pytest.mark.timeout(120)]

CLIENTS = 40
MESSAGES = 3_000


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many") / "recordings"
    add_session(folder, "engine", MONDAY, MESSAGES)
    return folder


@pytest.fixture(scope="module")
def payloads(library: Path) -> list[bytes]:
    events = open_session("engine", library=library).events()
    found = [event.text.encode() for event in events if event.text is not None]
    assert len(found) == MESSAGES
    return found


class Fleet:
    """Four replays and the balancer before them."""

    def __init__(self, balancer: Balancer, programs: list[Program], metrics: list[str]) -> None:
        self.balancer = balancer
        self.programs = programs
        self._metrics = metrics

    def url(self, query: str = "") -> str:
        return f"ws://127.0.0.1:{self.balancer.port}/ws/{query}"

    async def served(self) -> list[int]:
        """How many clients have come to each replay, by its own count; -1 where it is dead."""
        return [await asyncio.to_thread(_metric, url, "wsrec_clients_served_total") for url in self._metrics]

    async def here(self) -> list[int]:
        return [await asyncio.to_thread(_metric, url, "wsrec_clients") for url in self._metrics]


def _metric(url: str, name: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return -1
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found is not None, text
    return int(float(found[1]))


@pytest.fixture
async def fleet(haproxy: str, library: Path, tmp_path: Path) -> AsyncIterator[Fleet]:
    options = ("--per-client", "--verbatim", "--speed", "max", "--at-end", "close", "--no-console")
    command = ("replay", "engine", "--library", library, "--port", "0", "--metrics", "0", *options)
    async with AsyncExitStack() as stack:
        programs = [await stack.enter_async_context(wsrec(*command, cwd=tmp_path)) for _ in NAMES]
        metrics = [(await program.says(r"http://\S+/metrics")).group() for program in programs]
        ports = [_port(await program.url()) for program in programs]
        replays = list(zip(ports, map(_port, metrics), strict=True))
        balancer = stack.enter_context(Balancer(haproxy, replays))
        yield Fleet(balancer, programs, metrics)


def _port(url: str) -> int:
    found = re.search(r":(\d+)/", url)
    assert found is not None
    return int(found[1])


@asynccontextmanager
async def client(url: str) -> AsyncIterator[ClientConnection]:
    # No bound on what waits: a client that does not read must hear a close all the same.
    async with connect(url, compression=None, max_size=None, max_queue=None, proxy=None) as connection:
        yield connection


async def rest(connection: ClientConnection) -> tuple[list[bytes], int]:
    """All that is still sent to a client, and the code with which it ends."""
    found = []
    while True:
        try:
            found.append(await connection.recv(decode=False))
        except ConnectionClosed as exc:
            return found, exc.rcvd.code if exc.rcvd else 1006


async def whole(url: str) -> list[bytes]:
    """All that a client is sent, up to a close in order."""
    async with client(url) as connection:
        found, code = await rest(connection)
    assert code in (1000, 1001)
    return found


async def test_haproxy_takes_the_example(haproxy: str, tmp_path: Path) -> None:
    copy = tmp_path / "haproxy.cfg"
    copy.write_text(
        configured(CONFIG.read_text(), 8000, Path("/tmp/wsrec.sock"), [(8101 + n, 9471 + n) for n in range(4)])
    )
    found = await asyncio.to_thread(subprocess.run, [haproxy, "-c", "-f", copy], capture_output=True, text=True)
    assert (found.returncode, "WARNING" in found.stderr) == (0, False), found.stderr


async def test_each_of_forty_clients_gets_the_whole_recording_byte_for_byte(
    fleet: Fleet, payloads: list[bytes]
) -> None:
    streams = await asyncio.gather(*(whole(fleet.url()) for _ in range(CLIENTS)))
    assert all(stream == payloads for stream in streams)
    served = await fleet.served()
    assert sum(served) == CLIENTS
    assert min(served) >= CLIENTS // 8, served  # the fewest first, so all of them have some


async def test_clients_of_a_key_meet_on_one_replay(fleet: Fleet) -> None:
    async with AsyncExitStack() as stack:
        urls = [fleet.url(f"?session=desk-{number % 8}&speed=1") for number in range(CLIENTS)]
        clients = await asyncio.gather(*(stack.enter_async_context(client(url)) for url in urls))
        before = await fleet.here()
        assert sum(before) == CLIENTS
        assert all(count % (CLIENTS // 8) == 0 for count in before), before  # the five of a key are together
        assert sum(count > 0 for count in before) > 1, before  # and not all keys in one place
        # They hear the same: the second to come is carried to where the first one is.
        first, second = await asyncio.gather(*(each.recv() for each in (clients[0], clients[8])))
        assert first == second
        for _ in range(3):
            await stack.enter_async_context(client(urls[0]))
        after = await fleet.here()
        assert sorted(b - a for a, b in zip(before, after, strict=True)) == [0, 0, 0, 3]


async def test_clients_of_a_killed_replay_come_back_to_another(fleet: Fleet, payloads: list[bytes]) -> None:
    lost = 0

    async def patient() -> list[bytes]:
        """One that plays at the recorded pace, and on a loss asks again, for all at once."""
        nonlocal lost
        async with client(fleet.url("?speed=1")) as connection:
            await connection.recv()
            ready.release()
            assert (await rest(connection))[1] == 1006  # nobody said goodbye
        lost += 1
        return await whole(fleet.url())

    ready = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(patient()) for _ in range(CLIENTS)]
    for _ in range(CLIENTS):
        await ready.acquire()
    on_it = (await fleet.here())[0]
    fleet.programs[0].signal(signal.SIGKILL)
    found = await asyncio.gather(*await _done(tasks, on_it))
    assert (lost, len(found)) == (on_it, on_it)
    assert on_it >= CLIENTS // 8
    assert all(stream == payloads for stream in found)
    assert sum(count for count in await fleet.here() if count > 0) == CLIENTS - on_it  # the others noticed nothing
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _done(tasks: list[asyncio.Task[list[bytes]]], count: int) -> list[asyncio.Task[list[bytes]]]:
    """The first ``count`` tasks that end."""
    pending, done = set(tasks), list[asyncio.Task[list[bytes]]]()
    while len(done) < count:
        ended, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        done += ended
    return done


async def test_a_drained_replay_gets_no_new_clients_and_keeps_those_it_has(fleet: Fleet, payloads: list[bytes]) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(8):
            await stack.enter_async_context(client(fleet.url("?speed=1")))
        keyed = await stack.enter_async_context(client(fleet.url("?session=desk&speed=1")))
        before = await fleet.here()
        assert min(before) >= 2, before
        drained = next(number for number, count in enumerate(before) if count == 3)  # where the key is
        fleet.balancer.set_state(NAMES[drained], "drain")
        served = await fleet.served()
        streams = await asyncio.gather(*(whole(fleet.url()) for _ in range(CLIENTS)))
        assert all(stream == payloads for stream in streams)
        assert (await fleet.served())[drained] == served[drained]
        assert (await fleet.here())[drained] == 3
        await keyed.recv()
        # Who belongs to those who are there still finds them.
        await stack.enter_async_context(client(fleet.url("?session=desk")))
        assert (await fleet.here())[drained] == 4
        # When it is taken out, they are let go and meet elsewhere.
        fleet.balancer.set_state(NAMES[drained], "maint")
        assert (await rest(keyed))[1] == 1006
        await stack.enter_async_context(client(fleet.url("?session=desk&speed=1")))
        assert (await fleet.here())[drained] == 0
