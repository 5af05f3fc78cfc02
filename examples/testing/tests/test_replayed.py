"""Against a session that is kept beside the tests: no server, no network, no waiting."""

from __future__ import annotations

import asyncio

import pytest
from watch import last_price, prices

from wsrecorder.testing import ReplayServer

pytestmark = pytest.mark.wsrec("sessions/ticker.jsonl", at_end="close")


async def test_the_last_price_is_that_before_the_end(ws_replay: ReplayServer) -> None:
    """Half a minute of recording passes at once: the speed is ``max`` unless the marker says otherwise."""
    assert await last_price(ws_replay.url, "ETH-USD") == 2949.80


@pytest.mark.wsrec(two_way="strict")
async def test_it_asks_for_what_it_wants(ws_replay: ReplayServer) -> None:
    """The server waits for the recorded subscription; any other fails the test, with what differs."""
    assert await last_price(ws_replay.url, "ETH-USD") == 2949.80
    assert [frame.json["product"] for frame in ws_replay.received] == ["ETH-USD"]


@pytest.mark.wsrec(at_end="stay", prime="none")
async def test_it_subscribes_again_after_a_break(ws_replay: ReplayServer) -> None:
    """The test says what happens, event by event; what its own client has to do first is awaited."""
    ws_replay.pause()
    stream = prices(ws_replay.url, "ETH-USD")
    price = asyncio.create_task(anext(stream))
    await ws_replay.aio.wait_received(1)
    ws_replay.step(2)  # "subscribed", and the first price
    assert await price == 2950.10

    ws_replay.disconnect(1012)
    price = asyncio.create_task(anext(stream))
    await ws_replay.aio.wait_received(2)
    ws_replay.step()
    assert await price == 2950.35
    await stream.aclose()
