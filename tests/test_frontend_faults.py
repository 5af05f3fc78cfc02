"""Does a frontend survive? The example page in a real browser, against a replay in which each kind of fault happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

import wsrecorder
from docs.example import add_session
from tests.frontends import FRONTEND, Frontend, folded, open_frontend, parsed, served, shown_of, started
from tests.jobs.replays import until
from wsrecorder.analysis.session import open_session
from wsrecorder.analysis.state import state_at
from wsrecorder.jobs.replay import Replay
from wsrecorder.net.framing import frame_each

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESSAGES = 1_283  # about 70 s; orders and positions are open at the end
SPEED = 60
END = '{"type": "END", "ts": 0, "data": {}}'

FRAMES_HIT = {
    "drop": ["drop=10%"],
    "corrupt": ["corrupt=20%"],
    "duplicate": ["duplicate=20%"],
    "reorder": ["reorder=20%"],
    "delay": ["delay=30ms±30ms"],
    "freeze": ["freeze=200ms/400ms"],
}
CONNECTIONS_HIT = {
    "disconnect": ["disconnect=200ms"],
    "cut": ["disconnect=200ms:1006"],
    "refuse": ["disconnect=300ms", "refuse=200ms"],
    "recorded": ["recorded"],
    "all at once": [
        "drop=5%", "corrupt=5%", "duplicate=5%", "reorder=5%", "delay=10ms±10ms", "freeze=100ms/500ms",
        "disconnect=300ms:4000", "refuse=150ms", "recorded",
    ],
}  # fmt: skip
LOSSLESS = ("duplicate", "delay", "freeze")
PRIMED = ("disconnect", "cut", "refuse", "recorded")  # what is lost with the connection is told when it is there again


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of the engine in which the connection was lost for 5 s."""
    return add_session(tmp_path_factory.mktemp("library"), messages=MESSAGES, lose_at=700)


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with served(FRONTEND) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with started() as found:
        yield found


async def survived(frontend: Frontend, replay: Replay) -> None:
    """Wait for the end, let it be quiet, and check what holds whatever has happened."""
    await replay.finished.wait()
    replay.faults.set([])
    endpoint = replay.endpoint
    await until(lambda: [client.number for client in endpoint.clients if client.is_open] == [endpoint.clients_served])
    await frontend.shows("opened", str(endpoint.clients_served))
    await endpoint.broadcast(frame_each([END.encode()], [True]), 0, 1)  # after all that is on its way
    await frontend.shows("types", ".*END 1.*")
    await until(lambda: END in frontend.given)
    assert frontend.given[-1] == END

    assert frontend.complaints == []
    assert await frontend.text("connection") == "open"
    assert await frontend.number("reconnects") == endpoint.clients_served - 1
    readable = parsed(frontend.given)
    assert await frontend.number("received") == len(frontend.given)
    assert await frontend.number("dropped") == len(frontend.given) - len(readable)
    assert await frontend.number("kept") == 100
    assert [row["type"] for row in await frontend.rows("message")] == [each["type"] for each in readable[:-101:-1]]
    counts = dict(entry.split(" ") for entry in (await frontend.text("types")).split(", "))
    assert {name: int(count) for name, count in counts.items()} == Counter(each["type"] for each in readable)
    assert await frontend.state() == folded(frontend.given)


@pytest.mark.parametrize("kind", FRAMES_HIT)
async def test_frames_that_go_wrong_leave_the_socket_open_and_the_page_right(
    browser: Browser, site: str, session: Path, kind: str
) -> None:
    async with wsrecorder.serve(session, speed=SPEED, faults=FRAMES_HIT[kind], seed=1) as replay:
        frontend = await open_frontend(browser, site, replay.url)
        await survived(frontend, replay)
        assert replay.faults.counts[kind] > 0
        assert len(frontend.sockets) == 1
        assert await frontend.text("closes") == "none"
        if kind in LOSSLESS:
            state = shown_of(state_at(open_session(session)).states)
            assert min(len(state["orders"]), len(state["positions"])) > 0
            assert await frontend.state() == state
        await frontend.page.close()


@pytest.mark.parametrize("prime", ["last", "state"])
async def test_who_was_away_at_the_end_is_told_how_things_stand(
    browser: Browser, site: str, session: Path, prime: str
) -> None:
    async with wsrecorder.serve(session, speed="max", prime=prime) as replay:
        frontend = await open_frontend(browser, site, replay.url, delay=1_000)  # once away, it stays away
        await replay.finished.wait()
        await replay.endpoint.close_clients(1012)
        await frontend.shows("connection", "closed.*")
        late = await open_frontend(browser, site, replay.url)
        await late.shows("kept", "[1-9].*")
        await until(lambda: replay.endpoint.stats()[-1].primed > 0)
        await late.shows("received", str(replay.endpoint.stats()[-1].primed + 1))  # and a heartbeat
        assert await late.state() == shown_of(state_at(open_session(session)).states)
        assert frontend.complaints == late.complaints == []
        await frontend.page.close()
        await late.page.close()


@pytest.mark.parametrize("kind", CONNECTIONS_HIT)
async def test_connections_that_are_lost_are_made_again(browser: Browser, site: str, session: Path, kind: str) -> None:
    faults = CONNECTIONS_HIT[kind]
    async with wsrecorder.serve(session, speed=SPEED, faults=faults, seed=1) as replay:
        frontend = await open_frontend(browser, site, replay.url)
        await survived(frontend, replay)
        assert await frontend.number("reconnects") > 0
        counts = replay.faults.counts
        assert all(counts[fault.partition("=")[0]] > 0 for fault in faults)
        if kind in PRIMED:
            assert sum(client.primed for client in replay.endpoint.stats()) > 0
            assert await frontend.state() == shown_of(state_at(open_session(session)).states)
        await frontend.page.close()
