"""The simulated feed over real sockets, on loopback."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_client
from websockets.exceptions import ConnectionClosed, InvalidStatus

from wsrecorder.clock import SystemClock, VirtualClock
from wsrecorder.core.engine_book import GroundTruth
from wsrecorder.errors import EndpointError, UsageError
from wsrecorder.net.simulator import Simulator
from wsrecorder.net.simulator_options import SimulatorOptions


@asynccontextmanager
async def simulator(*, keep_sent: bool = False, is_virtual: bool = False, **options: Any) -> AsyncIterator[Simulator]:
    chosen = SimulatorOptions(**{"port": 0, "rate": 0, "close_timeout_s": 0.3} | options)
    clock = VirtualClock() if is_virtual else SystemClock()
    async with Simulator(chosen, clock, keep_sent=keep_sent) as running:
        yield running


def connect(url: str, **options: Any) -> connect_client:
    # Without a limit on its queue, a client that a test does not read from is still one that reads.
    return connect_client(url, **{"max_queue": None, "close_timeout": 0.3} | options)


@asynccontextmanager
async def unread(running: Simulator) -> AsyncIterator[None]:
    """A client that never reads."""
    client = await connect(running.url, compression=None, max_size=None)
    client.transport.pause_reading()
    try:
        yield
    finally:
        client.transport.abort()
        await client.wait_closed()


async def read_to_the_end(client: ClientConnection) -> ConnectionClosed:
    try:
        while True:
            await client.recv()
    except ConnectionClosed as exc:
        return exc


async def take(client: ClientConnection, count: int) -> list[dict[str, Any]]:
    return [json.loads(await client.recv()) for _ in range(count)]


async def take_events(client: ClientConnection, count: int) -> list[str]:
    """Return payloads as they came, heartbeats left out."""
    events: list[str] = []
    while len(events) < count:
        payload = await client.recv()
        assert isinstance(payload, str), "the feed sends text frames"
        if json.loads(payload)["type"] != "HEARTBEAT":
            events.append(payload)
    return events


async def http_status(port: int, head: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{head} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1]), answer.partition("\r\n\r\n")[2]


async def test_a_heartbeat_comes_at_once_then_a_burst_of_one_time_stamp() -> None:
    async with simulator(burst=10) as running, connect(running.url) as client:
        first, *burst = await take(client, 11)
        assert (first["type"], first["data"]) == ("HEARTBEAT", {"latencyMs": 45})
        assert len({event["ts"] for event in burst}) == 1
        assert [event["type"] for event in burst[:3]] == ["ENGINE_UPDATE", "ORDER_UPDATE", "POSITION_UPDATE"]


async def test_heartbeats_come_every_30_s_each_before_its_burst() -> None:
    async with simulator(burst=4, is_virtual=True) as running, connect(running.url) as client:
        events = await take(client, 60)
    cycles: dict[int, list[str]] = {}
    for event in events[1:]:
        cycles.setdefault(event["ts"], []).append(event["type"])
    times_ms = list(cycles)
    assert {later - earlier for earlier, later in itertools.pairwise(times_ms)} == {30_000}
    assert all(types[0] == "HEARTBEAT" and len(types) >= 5 for types in list(cycles.values())[1:-1])


async def test_every_client_gets_every_event_byte_for_byte_in_order() -> None:
    async with (
        simulator(rate=2_000, max_events=600, wait_for=2, keep_sent=True) as running,
        connect(running.url) as one,
        connect(running.url, compression=None) as other,
    ):
        await running.finished.wait()
        sent = [event.payload for event in running.sent]
        assert await take_events(one, len(sent)) == sent
        assert await take_events(other, len(sent)) == sent
    assert running.events_sent == len(sent) == sum(running.types_sent.values()) >= 600


async def test_the_same_seed_and_clock_give_the_same_stream() -> None:
    async def stream(seed: int) -> list[str]:
        options = {"rate": 100, "max_events": 1_000, "heartbeat_s": 5}
        async with (
            simulator(seed=seed, is_virtual=True, keep_sent=True, **options) as running,
            connect(running.url),
        ):
            await running.finished.wait()
            return [event.payload for event in running.sent]

    # How long the handshake takes is no part of the virtual time.
    assert await stream(5) == await stream(5) != await stream(6)


async def test_a_late_client_joins_midstream_after_a_heartbeat() -> None:
    async with simulator(rate=1_000, keep_sent=True) as running, connect(running.url):
        await running.wait_until(lambda running: running.events_sent > 50)
        async with connect(running.url) as late:
            missed = running.events_sent
            (first,) = await take(late, 1)
            events = await take_events(late, 20)
        sent = [event.payload for event in running.sent]
    assert first["type"] == "HEARTBEAT"
    start = sent.index(events[0])
    assert 50 < start <= missed + 1
    assert events == sent[start : start + 20]


async def test_only_the_exact_path_is_accepted_and_a_query_is_allowed() -> None:
    async with simulator() as running:
        async with connect(f"{running.url}?token=abc") as client:
            assert (await take(client, 1))[0]["type"] == "HEARTBEAT"
        for path in ("/ws", "/", "/ws/x", "/other?path=/ws/"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(running.url.replace("/ws/", path))
            assert refused.value.response.status_code == 403, path


@pytest.mark.parametrize("path", ["/ws/", "/ws", "/"])
async def test_a_plain_request_is_not_found(path: str) -> None:
    async with simulator() as running:
        assert await http_status(running.port, f"GET {path}") == (404, '{"detail":"Not Found"}')


@pytest.mark.parametrize(
    ("accepts", "offer", "negotiated"), [(True, "deflate", True), (True, None, False), (False, "deflate", False)]
)
async def test_deflate_is_used_when_it_is_offered(accepts: bool, offer: str | None, negotiated: bool) -> None:
    async with simulator(deflate=accepts) as running, connect(running.url, compression=offer) as client:
        assert bool(client.protocol.extensions) is negotiated
        assert (await take(client, 1))[0]["type"] == "HEARTBEAT"


async def test_it_closes_with_1012_on_shutdown() -> None:
    async with simulator(burst=0) as running:
        client = await connect(running.url)
        await client.recv()
    with pytest.raises(ConnectionClosed):
        await client.recv()
    assert client.close_code == 1012


@pytest.mark.parametrize(("code", "seen"), [(1011, 1011), (1000, 1000), (None, 1006)])
async def test_clients_are_dropped_with_a_code_or_cut(code: int | None, seen: int) -> None:
    async with simulator(burst=0) as running, connect(running.url) as client:
        await client.recv()
        assert await running.drop_clients(code, "as asked") == 1
        assert running.clients == 0
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == seen
        async with connect(running.url) as again:
            assert (await take(again, 1))[0]["type"] == "HEARTBEAT"


async def test_all_connections_are_cut_every_so_often() -> None:
    async with simulator(drop_every_s=3600, is_virtual=True, burst=0, heartbeat_s=100_000) as running:
        for _ in range(3):
            async with connect(running.url) as client:
                await read_to_the_end(client)
                assert client.close_code == 1006


async def test_a_stalled_feed_is_open_and_silent_until_it_resumes() -> None:
    async with simulator(burst=3, is_virtual=True, rate=10) as running, connect(running.url) as client:
        await take(client, 4)
        running.stall()
        silent_from = running.events_sent
        async with connect(running.url) as late:
            # What was sent before the answer to a ping has arrived before it.
            await (await late.ping())
            await (await client.ping())
            assert running.events_sent == silent_from
            running.resume()
            assert (await take(late, 1))[0]["type"] == "HEARTBEAT"
            assert (await take(late, 1))[0]["type"] == "ENGINE_UPDATE"


async def test_a_feed_stalled_from_the_start_begins_when_it_resumes() -> None:
    async with simulator(burst=3) as running:
        running.stall()
        async with connect(running.url) as client:
            await (await client.ping())
            assert (running.clients, running.events_sent) == (1, 0)
            running.resume()
            assert [event["type"] for event in await take(client, 2)] == ["HEARTBEAT", "ENGINE_UPDATE"]


async def test_handshakes_are_refused_as_long_as_asked() -> None:
    async with simulator() as running:
        running.refuse(503)
        for _ in range(2):
            with pytest.raises(InvalidStatus) as refused:
                # websockets tries again on a 503 of its own accord only when iterated.
                await connect(running.url)
            assert refused.value.response.status_code == 503
        running.refuse(None)
        async with connect(running.url) as client:
            assert (await take(client, 1))[0]["type"] == "HEARTBEAT"


async def test_an_application_frame_makes_it_deaf_and_ends_in_a_keepalive_timeout() -> None:
    async with simulator(burst=0, ping_s=0.1) as running, connect(running.url, ping_interval=None) as client:
        await client.recv()
        await client.send("subscribe")
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert (client.close_code, client.close_reason) == (1011, "keepalive ping timeout")
        assert running.inbound == [b"subscribe"]


async def test_a_deaf_connection_still_closes_in_order() -> None:
    async with simulator(burst=0, close_timeout_s=60) as running, connect(running.url) as client:
        await client.send("subscribe")
        await running.wait_until(lambda running: bool(running.inbound))
        async with asyncio.timeout(30):  # far less than the close timeout: the answer is read
            await running.drop_clients(1012)
        await read_to_the_end(client)
        assert client.close_code == 1012


async def test_told_to_read_it_stays_alive_and_notes_every_frame() -> None:
    async with simulator(burst=0, reads=True) as running, connect(running.url) as client:
        await client.send("one")
        await client.send(b"two")
        await (await client.ping())
        assert running.inbound == [b"one", b"two"]


async def test_a_client_that_stops_reading_hinders_neither_the_others_nor_the_end() -> None:
    options = {"rate": 5_000, "burst": 0, "max_events": 1_000, "big_scan_every": 10, "wait_for": 2}
    async with AsyncExitStack() as slow, simulator(**options) as running:
        await slow.enter_async_context(unread(running))
        async with connect(running.url, compression=None, max_size=None) as quick:
            await running.finished.wait()
            assert len(await take_events(quick, running.events_sent)) == running.events_sent
        await running.wait_until(lambda running: running.clients == 1)


async def test_a_client_past_the_buffer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsrecorder.net.simulator._CLIENT_BUFFER_BYTES", 1 << 20)
    async with simulator(rate=5_000, burst=0, big_scan_every=1) as running, unread(running):
        await running.wait_until(lambda running: running.events_sent > 0)
        await running.wait_until(lambda running: running.clients == 0)


async def test_nan_goes_out_bare() -> None:
    async with simulator(rate=5_000, nan=1.0, max_events=500) as running, connect(running.url) as client:
        await running.finished.wait()
        events = await take_events(client, running.events_sent)
    scans = [event for event in events if '"SCAN_RESULT"' in event]
    assert scans
    assert all(": NaN" in scan or ": Infinity" in scan for scan in scans)


async def test_big_scans_are_more_than_a_client_takes_by_default() -> None:
    options = {"rate": 5_000, "burst": 0, "big_scan_every": 1, "max_events": 10}
    async with simulator(**options) as running, connect(running.url, max_size=64 << 20) as client:
        await running.finished.wait()
        assert any(len(event) > 1 << 20 for event in await take_events(client, running.events_sent))
    async with simulator(**options) as running, connect(running.url) as limited:
        ended = await read_to_the_end(limited)
        assert ended.sent is not None
        assert ended.sent.code == 1009


async def test_it_waits_for_its_clients_once_or_not_at_all() -> None:
    async with simulator(wait_for=0, burst=5) as running:
        await running.wait_until(lambda running: running.events_sent >= 5)
        assert running.clients_served == 0
    async with simulator(wait_for=2, burst=5) as running, connect(running.url) as first:
        await first.recv()
        await (await first.ping())
        assert running.events_sent == 0
        async with connect(running.url):
            await running.wait_until(lambda running: running.events_sent >= 5)


async def test_the_truth_is_what_was_pushed() -> None:
    truth = GroundTruth()
    options = SimulatorOptions(port=0, rate=5_000, max_events=500, close_timeout_s=0.3)
    async with Simulator(options, SystemClock(), truth=truth, keep_sent=True) as running, connect(running.url):
        await running.finished.wait()
    assert [(sent.sent_ms, sent.type) for sent in truth.sent] == [(sent.sent_ms, sent.type) for sent in running.sent]
    assert truth.counts() == running.types_sent


async def test_a_taken_port_is_said_so() -> None:
    async with simulator() as running:
        with pytest.raises(EndpointError, match=f"cannot listen on 127.0.0.1:{running.port}") as refused:
            async with simulator(port=running.port):
                pass
        assert "port 0" in refused.value.hint


@pytest.mark.parametrize(
    "options",
    [
        {"rate": -1},
        {"rate": float("inf")},
        {"burst": -1},
        {"heartbeat_s": 0},
        {"nan": 1.5},
        {"drop_every_s": 0},
        {"port": 70_000},
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=str(next(iter(options.values())))):
        SimulatorOptions(**options)
