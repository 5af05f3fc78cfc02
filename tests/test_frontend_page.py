"""The example frontend behaves as the feed's frontend does: routes, drops, keeps 100, reconnects, grows stale."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

import wsrecorder
from docs.example import add_session
from tests.frontends import (
    ARGUMENTS,
    CHROMIUM,
    FRONTEND,
    folded,
    open_frontend,
    parsed,
    rows_of,
    served,
    shown_of,
    started,
)
from wsrecorder.analysis.session import open_session
from wsrecorder.analysis.state import state_at

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESSAGES = 1_383  # two orders and two positions are open at the end


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_session(tmp_path_factory.mktemp("library"), messages=MESSAGES)


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with served(FRONTEND) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with started() as found:
        yield found


async def test_what_it_shows_at_the_end_is_the_state_of_the_session(browser: Browser, site: str, session: Path) -> None:
    async with wsrecorder.serve(session, speed="max") as replay:
        frontend = await open_frontend(browser, site, replay.url)
        await replay.finished.wait()
        await frontend.settled(replay)
        assert await frontend.state() == shown_of(state_at(open_session(session)).states) == folded(frontend.given)
        readable = parsed(frontend.given)
        assert await frontend.number("received") == len(frontend.given) > MESSAGES / 2
        assert await frontend.number("dropped") == len(frontend.given) - len(readable) > 0  # bare NaN
        assert await frontend.number("kept") == len(await frontend.rows("message")) == 100
        newest = [row["type"] for row in await frontend.rows("message")]
        assert newest == [envelope["type"] for envelope in reversed(readable[-100:])]
        counts = dict(entry.split() for entry in (await frontend.text("types")).split(", "))
        assert {name: int(count) for name, count in counts.items()} == Counter(each["type"] for each in readable)
        assert await frontend.text("connection") == "open"
        assert await frontend.text("freshness") == "fresh"
        assert await frontend.text("closes") == "none"
    assert frontend.complaints == []


async def test_it_connects_again_when_the_server_is_back(browser: Browser, site: str, session: Path) -> None:
    async with wsrecorder.serve(session, speed="max") as replay:
        frontend = await open_frontend(browser, site, replay.url)
        await replay.finished.wait()
        await frontend.settled(replay)
        port = replay.endpoint.port
    await frontend.shows("connection", "closed, again in 0.[48] s")  # it doubled while nobody was there
    before = await frontend.number("received")
    async with wsrecorder.serve(session, speed="max", port=port) as replay:
        await frontend.shows("reconnects", "1")
        await replay.finished.wait()
        await frontend.settled(replay, before)
        assert await frontend.state() == shown_of(state_at(open_session(session)).states)
        await replay.endpoint.close_clients(4001)
        await frontend.shows("reconnects", "2")
        closes = (await frontend.text("closes")).split(", ")
    assert closes[0] == "1000"
    assert closes[-1] == "4001"
    assert set(closes[1:-1]) == {"1006"}
    assert frontend.complaints == []


@pytest.mark.parametrize(
    ("settings", "waits"),
    [
        ({}, [1, 2, 4, 8, 16, 30, 30]),
        ({"delay": 0.5}, [0.5, 1, 2, 4, 8, 15, 15]),
        ({"retry": "fixed"}, [5, 5, 5]),
        ({"retry": "fixed", "delay": 0.25}, [0.25, 0.25]),
        ({"delay": "soon"}, [1, 2]),
    ],
)
async def test_it_waits_longer_each_time(
    browser: Browser, site: str, settings: dict[str, str], waits: list[float]
) -> None:
    page = await browser.new_page()
    query = "&".join(f"{name}={value}" for name, value in settings.items())
    await page.goto(f"{site}/README.md")  # a page of the same origin, on which no feed runs
    found = await page.evaluate(
        """async ([query, count]) => {
          const { Feed } = await import("/feed.js");
          const { readSettings } = await import("/settings.js");
          const made = [], timers = [];
          globalThis.WebSocket = class { constructor() { made.push(this); } };
          globalThis.setTimeout = (call, ms) => timers.push([call, ms]);
          const feed = new Feed(readSettings(query), { onMessage() {}, onChange() {} });
          const waits = [];
          for (let number = 0; number < count; number += 1) {
            made.at(-1).onclose({ code: 1006 });
            waits.push(feed.retryMs / 1000);
            timers.at(-1)[0]();
          }
          made.at(-1).onopen();
          made.at(-1).onclose({ code: 1012 });
          return [waits, feed.retryMs / 1000];
        }""",
        [f"?{query}", len(waits)],
    )
    assert found == [waits, waits[0]]  # once it was open it counts anew


async def test_an_old_session_looks_stale_unless_it_is_restamped(browser: Browser, site: str, session: Path) -> None:
    for restamp, freshness in ((False, "stale"), (True, "fresh")):
        async with wsrecorder.serve(session, speed="max", verbatim=True, restamp=restamp) as replay:
            frontend = await open_frontend(browser, site, replay.url)
            await replay.finished.wait()
            assert await frontend.shows("freshness", freshness)


async def test_two_sockets_at_once_come_to_the_same(browser: Browser, site: str, session: Path) -> None:
    async with wsrecorder.serve(session, speed="max", wait_for=2) as replay:
        frontend = await open_frontend(browser, site, replay.url, sockets=2)
        await replay.finished.wait()
        await frontend.settled(replay)
        assert len(frontend.sockets) == 2
        assert await frontend.number("opened") == 2
        assert await frontend.number("kept") == 100
        assert (await frontend.state())["positions"] == shown_of(state_at(open_session(session)).states)["positions"]
    assert frontend.complaints == []


async def test_what_it_cannot_parse_is_dropped_and_the_socket_stays_open(browser: Browser, site: str) -> None:
    from websockets.asyncio.server import ServerConnection, serve

    hostile = "<img src=x onerror='window.bitten = 1'>"
    sent: list[str | bytes] = [
        "", "{", "[]", "null", '"text"', "{}", '{"type": 1}', '{"type": "SIGNAL", "data": {"signals": [NaN]}}', b"\x00",
        '{"type": "toString"}', '{"type": "__proto__", "data": {}}', '{"type": "HEARTBEAT", "ts": "x", "data": null}',
        '{"type": "ORDER_UPDATE", "data": {"orders": [null, 1, [], {"id": null}]}}',
        '{"type": "STOP_MOVED", "data": {}}',
        json.dumps({"type": hostile, "ts": 1e300, "data": {}}),
        json.dumps({"type": "ENGINE_UPDATE", "ts": 1, "data": {"state": hostile}}),
        json.dumps({"type": "ORDER_PLACED", "data": {"order": {"id": hostile, "symbol": {"a": 1}, "qty": "1"}}}),
    ]  # fmt: skip

    async def attend(client: ServerConnection) -> None:
        for frame in sent:
            await client.send(frame)
        await client.wait_closed()

    async with serve(attend, "127.0.0.1", 0) as server:
        frontend = await open_frontend(browser, site, f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/")
        await frontend.shows("received", str(len(sent)))
        assert await frontend.shows("engine-state", ".*onerror.*") == hostile
        assert await frontend.number("dropped") == 9
        assert await frontend.text("connection") == "open"
        assert [row["id"] for row in await frontend.rows("order")] == [hostile]
        assert await frontend.page.evaluate("window.bitten") is None
        assert await frontend.page.locator("main img").count() == 0
        await frontend.page.close()
        await asyncio.sleep(0)
    assert frontend.complaints == []


@pytest.mark.parametrize("seed", range(4))
async def test_its_store_comes_to_the_same_as_the_projections_whatever_the_order(
    browser: Browser, site: str, session: Path, seed: int
) -> None:
    chance = Random(seed)
    frames = [event.text for event in open_session(session).events() if event.text is not None]
    if seed % 2:  # lists of all put right what came before them
        frames = [text for text in frames if '"orders":' not in text and '"positions":' not in text]
    frames = chance.sample(frames, len(frames) * 2 // 3)
    page = await browser.new_page()
    await page.goto(f"{site}/README.md")  # a page of the same origin, on which no feed runs
    found = await page.evaluate(
        """async (frames) => {
          const { Store } = await import("/store.js");
          const store = new Store();
          for (const frame of frames) store.take(frame);
          return [store.engine.state, [...store.orders.open.values()], [...store.positions.open.values()]];
        }""",
        frames,
    )
    assert rows_of(*found) == folded(frames)
    await page.close()


async def test_the_recipe_of_the_documents_works(browser: Browser, site: str, session: Path) -> None:
    page = (FRONTEND.parents[1] / "docs/frontend.md").read_text(encoding="utf-8")
    [recipe] = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    names: dict[str, Any] = {}
    exec(compile(recipe, "docs/frontend.md", "exec"), names)
    names |= {"SESSION": session, "SITE": site, "BROWSER": {"executable_path": str(CHROMIUM), "args": ARGUMENTS}}
    [test] = [name for name in names if name.startswith("test_")]
    await names[test]()
