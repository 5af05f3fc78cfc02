"""The endpoint over real sockets: what clients see, and that one cannot harm another."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pyarrow as pa
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.typing import Subprotocol

from wsrecorder.clock import SystemClock
from wsrecorder.errors import EndpointError, UsageError
from wsrecorder.net.client import Client
from wsrecorder.net.endpoint import Endpoint
from wsrecorder.net.endpoint_options import EndpointOptions, SlowClient
from wsrecorder.net.framing import Frames, frame_columns

MIB = 1 << 20


def framed(*payloads: str | bytes) -> Frames:
    """Frame text and binary payloads."""
    text = [p if isinstance(p, str) else None for p in payloads]
    binary = [p if isinstance(p, bytes) else None for p in payloads]
    return frame_columns(
        pa.array(text, pa.string()), pa.array(binary, pa.binary()), pa.array([t is not None for t in text])
    )


def an_endpoint(heartbeat: Any = None, **options: Any) -> Endpoint:
    clock = SystemClock()
    options = {"port": 0, "close_timeout_s": 0.5, **options}
    return Endpoint(EndpointOptions(**options), now_ns=clock.now_ns, wall_ns=clock.wall_ns, heartbeat=heartbeat)


async def receive(client: ClientConnection, count: int) -> list[str | bytes]:
    return [await client.recv() for _ in range(count)]


@asynccontextmanager
async def deaf_client(endpoint: Endpoint) -> AsyncIterator[ClientConnection]:
    """A client that does not read: little fits into its socket, and nobody empties it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", endpoint.port))
    async with connect(endpoint.url, sock=sock, compression=None, ping_interval=None, close_timeout=0.1) as client:
        client.transport.pause_reading()
        yield client
        client.transport.abort()


async def until(is_so: Callable[[], bool]) -> None:
    """Return when something that nobody announces has come about."""
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110 - the kernel's buffers send no event
            await asyncio.sleep(0.001)


async def gone(endpoint: Endpoint) -> None:
    await until(lambda: len(endpoint.departed) == 1)


async def stalled(endpoint: Endpoint) -> None:
    await until(lambda: endpoint.stats()[0].stalls > 0)


async def status_of(request: str, endpoint: Endpoint) -> str:
    """Send a plain HTTP request and return the answer's first line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
    writer.write(request.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line.decode().strip()


# Where it is


@pytest.mark.parametrize("query", ["", "?token=abc&x=/y"])
async def test_the_recorded_path_is_served_with_any_query(query: str) -> None:
    async with an_endpoint() as endpoint, connect(endpoint.url + query):
        await endpoint.wait_for_clients(1)
        assert endpoint.url == f"ws://127.0.0.1:{endpoint.port}/ws/"
        assert endpoint.clients[0].query == ("x=/y" if query else "")  # a token is nothing for statistics


@pytest.mark.parametrize("path", ["/ws", "/", "/ws/x", "//ws/", "/WS/"])
async def test_an_upgrade_on_another_path_is_refused_with_403(path: str) -> None:
    async with an_endpoint() as endpoint:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{endpoint.port}{path}")
        assert refused.value.response.status_code == 403
        assert endpoint.clients_served == 0


@pytest.mark.parametrize("request_line", ["GET /ws/ HTTP/1.1", "GET / HTTP/1.1", "GET /ws/?x=1 HTTP/1.1"])
async def test_a_plain_request_gets_404(request_line: str) -> None:
    async with an_endpoint() as endpoint:
        assert await status_of(f"{request_line}\nHost: localhost", endpoint) == "HTTP/1.1 404 Not Found"


async def test_another_path_can_be_served() -> None:
    async with an_endpoint(path="/feed") as endpoint, connect(f"ws://127.0.0.1:{endpoint.port}/feed"):
        await endpoint.wait_for_clients(1)


async def test_a_port_in_use_is_an_error_that_says_what_to_do() -> None:
    async with an_endpoint() as first:
        with pytest.raises(EndpointError) as raised:
            await an_endpoint(port=first.port).__aenter__()
        assert raised.value.message == f"port {first.port} on 127.0.0.1 is in use"
        assert "--port" in raised.value.hint


async def test_an_address_of_another_machine_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(EndpointError) as raised:
        await an_endpoint(host="192.0.2.1").__aenter__()  # reserved for documentation: nobody's
    assert raised.value.message.startswith("cannot listen on 192.0.2.1:0: ")
    assert "--host" in raised.value.hint


async def test_a_port_that_is_not_ours_to_take_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_server", refuse, raising=False)
    with pytest.raises(EndpointError, match="not permitted") as raised:
        await an_endpoint(port=80).__aenter__()
    assert "above 1023" in raised.value.hint


@pytest.mark.parametrize(
    ("options", "words"), [({"port": 65_536}, "65535"), ({"path": "ws"}, "begin with /"), ({"path": "/ws?x"}, "query")]
)
async def test_impossible_options_are_errors_of_use(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        an_endpoint(**options)


async def test_a_recorded_subprotocol_is_agreed_on_with_who_offers_it() -> None:
    chat, other = Subprotocol("chat.v2"), Subprotocol("other")
    async with an_endpoint(subprotocol="chat.v2") as endpoint:
        async with connect(endpoint.url, subprotocols=[other, chat]) as client:
            assert client.subprotocol == "chat.v2"
        async with connect(endpoint.url, subprotocols=[other]) as client:
            assert client.subprotocol is None
        async with connect(endpoint.url) as client:
            assert client.subprotocol is None


# What is sent


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_every_frame_arrives_byte_for_byte_in_order(compression: str | None) -> None:
    payloads = ['{"type": "A", "x": NaN}', b"\x00\xff", "", b"", "é" * 100, "a" * 70_000, b"b" * 3 * MIB]
    async with an_endpoint() as endpoint, connect(endpoint.url, compression=compression, max_size=None) as client:
        await endpoint.wait_for_clients(1)
        assert (endpoint.clients[0].window_bits is None) == (compression is None)
        assert client.response is not None
        agreed = client.response.headers.get("Sec-WebSocket-Extensions", "")
        assert ("server_no_context_takeover" in agreed) == (compression is not None)
        frames = framed(*payloads)
        assert await endpoint.broadcast(frames, 0, 3) == 0  # nobody was waited for
        await endpoint.broadcast(frames, 3, len(frames))
        assert await receive(client, len(payloads)) == payloads


async def test_compression_can_be_left_out() -> None:
    async with an_endpoint(compression=False) as endpoint, connect(endpoint.url) as client:
        await endpoint.wait_for_clients(1)
        assert endpoint.clients[0].window_bits is None
        assert client.protocol.extensions == []


async def test_clients_of_all_kinds_are_served_from_one_batch() -> None:
    payloads = [f'{{"type": "A", "n": {n}, "pad": "{"x" * 50}"}}' for n in range(2_000)]
    async with an_endpoint() as endpoint:
        narrow = ClientPerMessageDeflateFactory(server_max_window_bits=9)
        async with (
            connect(endpoint.url, compression=None) as plain,
            connect(endpoint.url) as usual,
            connect(endpoint.url, compression=None, extensions=[narrow]) as small,
        ):
            await endpoint.wait_for_clients(3)
            assert {client.window_bits for client in endpoint.clients} == {None, 12, 9}
            received = asyncio.gather(*(receive(client, len(payloads)) for client in (plain, usual, small)))
            await endpoint.broadcast(framed(*payloads), 0, len(payloads))
            assert await received == [payloads] * 3
            stats = {stat.window_bits: stat for stat in endpoint.stats()}
            assert {stat.frames_sent for stat in stats.values()} == {len(payloads)}
            assert stats[12].bytes_sent < stats[None].bytes_sent


async def test_a_text_frame_that_is_not_utf8_goes_out_as_text() -> None:
    frames = frame_columns(pa.array([None], pa.string()), pa.array([b"\xff{"]), pa.array([True]))
    async with an_endpoint() as endpoint, connect(endpoint.url) as client:
        await endpoint.wait_for_clients(1)
        await endpoint.broadcast(frames, 0, 1)
        assert await client.recv(decode=False) == b"\xff{"
        await endpoint.broadcast(frames, 0, 1)
        with pytest.raises(ConnectionClosed, match="1007"):
            await client.recv()  # a client that decodes what is text refuses it, as on the live feed


async def test_a_late_client_joins_in_the_middle_at_a_whole_frame() -> None:
    payloads = [f"{n:06d}" + "x" * 1_000 for n in range(20_000)]
    async with an_endpoint(slow_client=SlowClient.WAIT) as endpoint, connect(endpoint.url) as early:
        await endpoint.wait_for_clients(1)
        sending = asyncio.create_task(endpoint.broadcast(framed(*payloads), 0, len(payloads)))
        receiving = asyncio.create_task(receive(early, len(payloads)))
        async with connect(endpoint.url) as late:
            first = str(await late.recv())
            rest = await receive(late, len(payloads) - 1 - int(first[:6]))
            assert [first, *rest] == payloads[int(first[:6]) :]
            await sending
            assert await receiving == payloads


async def test_only_those_named_are_sent_to() -> None:
    async with an_endpoint() as endpoint, connect(endpoint.url + "?a") as one, connect(endpoint.url + "?b") as two:
        await endpoint.wait_for_clients(2)
        (first,) = (client for client in endpoint.clients if client.query == "a")
        await endpoint.broadcast(framed("one"), 0, 1, to=[first])
        await endpoint.broadcast(framed("both"), 0, 1)
        assert await receive(one, 2) == ["one", "both"]
        assert await receive(two, 1) == ["both"]


async def test_sending_to_nobody_lets_others_run() -> None:
    async with an_endpoint() as endpoint:
        has_run = asyncio.Event()
        asyncio.get_running_loop().call_soon(has_run.set)
        await endpoint.broadcast(framed("x"), 0, 1)
        assert has_run.is_set()


# Heartbeats


async def test_a_heartbeat_comes_first_and_then_at_its_interval() -> None:
    asked: list[tuple[float, int]] = []

    def heartbeat(latency_ms: float, wall_ns: int) -> bytes:
        asked.append((latency_ms, wall_ns))
        return b"beat %d" % len(asked)

    async with an_endpoint(heartbeat, heartbeat_s=0.05, ping_s=0.02) as endpoint:
        endpoint.on_join = lambda _: None
        async with connect(endpoint.url) as client:
            assert await receive(client, 4) == ["beat 1", "beat 2", "beat 3", "beat 4"]
        await gone(endpoint)
        stat = endpoint.departed[0]
    assert stat.heartbeats_sent >= 4
    assert stat.frames_sent == 0
    assert asked[0][0] == 0  # not yet measured
    assert asked[0][1] > 1_700_000_000_000_000_000


async def test_a_heartbeat_tells_the_round_trip_of_the_last_ping() -> None:
    an_echo = an_endpoint(lambda latency_ms, _: b"%r" % latency_ms, heartbeat_s=0.01)
    async with an_echo as endpoint, connect(endpoint.url) as client:
        await endpoint.wait_for_clients(1)
        endpoint.clients[0]._connection.latency = 0.045  # as a ping would
        while await client.recv() != "45.0":
            pass


async def test_a_feed_without_heartbeats_sends_none() -> None:
    async with an_endpoint(lambda latency_ms, wall_ns: None) as endpoint, connect(endpoint.url) as client:
        await endpoint.wait_for_clients(1)
        await endpoint.broadcast(framed("first"), 0, 1)
        assert await client.recv() == "first"
        assert endpoint.stats()[0].heartbeats_sent == 0


# Coming and going


async def test_who_comes_and_goes_is_told() -> None:
    told: list[tuple[str, int]] = []
    async with an_endpoint() as endpoint:
        endpoint.on_join = lambda client: told.append(("join", client.number))
        endpoint.on_leave = lambda client: told.append(("leave", client.number))
        async with connect(endpoint.url):
            await endpoint.wait_for_clients(1)
            assert not endpoint.departed
        await gone(endpoint)
        assert told == [("join", 1), ("leave", 1)]
        assert endpoint.clients == ()
        assert endpoint.departed[0].close_code == 1000
        assert endpoint.departed[0].address.startswith("127.0.0.1:")


async def test_inbound_frames_are_counted_and_ignored_whatever_their_size() -> None:
    async with an_endpoint() as endpoint, connect(endpoint.url) as client:
        await endpoint.wait_for_clients(1)
        await client.send(b"x" * 3 * MIB)
        await client.send(["in ", "parts"])
        for number in range(2_000):
            await client.send(f"flood {number}")
        await (await client.ping())
        await endpoint.broadcast(framed("still here"), 0, 1)
        assert await client.recv() == "still here"
        assert endpoint.stats()[0].inbound_frames == 1 + 3 + 2_000  # a message in two parts is three: the last is empty


async def test_closing_looks_as_when_the_live_server_is_restarted() -> None:
    async with an_endpoint() as endpoint, connect(endpoint.url) as client:
        await endpoint.wait_for_clients(1)
        await endpoint.close()
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await connect(f"ws://127.0.0.1:{client.remote_address[1]}/ws/")


async def test_all_clients_can_be_closed_while_it_goes_on_serving() -> None:
    async with an_endpoint() as endpoint:
        async with connect(endpoint.url) as client:
            await endpoint.wait_for_clients(1)
            await endpoint.close_clients(1000, "the end")
            await client.wait_closed()
            assert (client.close_code, client.close_reason) == (1000, "the end")
        async with connect(endpoint.url):
            await endpoint.wait_for_clients(1)


async def test_what_was_sent_before_the_close_still_arrives() -> None:
    payloads = ["x" * 1_000] * 3_000
    async with an_endpoint() as endpoint, connect(endpoint.url) as client:
        await endpoint.wait_for_clients(1)
        await endpoint.broadcast(framed(*payloads), 0, len(payloads))
        closing = asyncio.create_task(endpoint.close(1000))
        assert await receive(client, len(payloads)) == payloads
        await closing


# Slow clients


def block(count: int, size_bytes: int = MIB) -> Frames:
    return framed(*[bytes([number]) * size_bytes for number in range(count)])


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_a_client_that_stops_reading_is_closed_and_the_other_does_not_notice(
    compression: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    frames = block(48)
    async with (
        an_endpoint(client_buffer_bytes=8 * MIB) as endpoint,
        connect(endpoint.url, compression=compression, max_size=None) as good,
        deaf_client(endpoint),
    ):
        await endpoint.wait_for_clients(2)
        received = []
        for row in range(len(frames)):
            await endpoint.broadcast(frames, row, row + 1)
            received.append(await good.recv())
        assert [message[:1] for message in received] == [bytes([n]) for n in range(48)]  # type: ignore[index]
        assert endpoint.slow_closed == 1
        await gone(endpoint)
        slow = endpoint.departed[0]
        assert slow.stalls >= 1
        assert slow.stalled_ns > 0
        assert slow.frames_sent < 48
        (warning,) = (record for record in caplog.records if record.levelno == logging.WARNING)
        assert "was closed (1013)" in warning.getMessage()
        assert len(endpoint.clients) == 1


async def test_a_slow_client_that_reads_on_is_told_1013() -> None:
    async with an_endpoint(client_buffer_bytes=MIB, close_timeout_s=5) as endpoint, deaf_client(endpoint) as client:
        await endpoint.wait_for_clients(1)
        while not endpoint.slow_closed:
            await endpoint.broadcast(block(4), 0, 4)
        client.protocol.max_message_size = None
        client.transport.resume_reading()
        with pytest.raises(ConnectionClosed) as closed:
            await receive(client, 10_000)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1013, "too slow")


async def test_one_frame_larger_than_the_buffer_is_no_reason_to_close() -> None:
    async with (
        an_endpoint(client_buffer_bytes=MIB) as endpoint,
        connect(endpoint.url, compression=None, max_size=None) as client,
    ):
        await endpoint.wait_for_clients(1)
        await endpoint.broadcast(block(1, 24 * MIB), 0, 1)
        assert len(await client.recv()) == 24 * MIB
        assert endpoint.slow_closed == 0


async def test_the_playhead_can_wait_for_a_slow_client_and_nothing_is_lost() -> None:
    async with an_endpoint(slow_client=SlowClient.WAIT) as endpoint, deaf_client(endpoint) as client:
        await endpoint.wait_for_clients(1)
        frames = block(32)
        sending = asyncio.create_task(endpoint.broadcast(frames, 0, len(frames)))
        await stalled(endpoint)
        assert endpoint.stats()[0].buffered_bytes < 4 * MIB  # bounded by the mark and one frame
        assert not sending.done()
        client.protocol.max_message_size = None
        client.transport.resume_reading()
        received = await receive(client, len(frames))
        waited_ns = await sending
        assert waited_ns > 0
        assert [message[:1] for message in received] == [bytes([n]) for n in range(32)]  # type: ignore[index]
        assert endpoint.stats()[0].stalled_ns > 0


@pytest.mark.parametrize("leave", ["abort", "close frame", "half-close"])
async def test_nobody_waits_for_a_client_that_leaves(leave: str) -> None:
    async with an_endpoint(slow_client=SlowClient.WAIT) as endpoint, deaf_client(endpoint) as client:
        await endpoint.wait_for_clients(1)
        sending = asyncio.create_task(endpoint.broadcast(block(48), 0, 48))
        await stalled(endpoint)
        match leave:
            case "abort":
                client.transport.abort()
            case "close frame":
                client.protocol.send_close(1000)
                client.send_data()
            case "half-close":
                client.transport.write_eof()
        async with asyncio.timeout(30):
            await sending


async def test_nobody_waits_for_ever_for_a_client_that_takes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with an_endpoint(slow_client=SlowClient.WAIT, ping_s=0.1) as endpoint, deaf_client(endpoint):
        await endpoint.wait_for_clients(1)
        async with asyncio.timeout(30):
            await endpoint.broadcast(block(48), 0, 48)
        assert "took nothing for 0.2 s" in caplog.text
        await gone(endpoint)
        assert endpoint.slow_closed == 0


async def test_waiting_goes_on_while_a_slow_client_takes_something() -> None:
    class Trickling(Client):
        levels = iter([9, 8, 8, 7, 7, 7])  # before and after each wait; in the third, nothing is taken

        @property
        def buffered_bytes(self) -> int:
            return next(self.levels)

    async with an_endpoint() as endpoint, connect(endpoint.url):
        await endpoint.wait_for_clients(1)
        connection = endpoint.clients[0]._connection
        connection.has_room.clear()
        client = Trickling(1, connection, 0)
        assert not client.has_room
        assert not await client.wait_for_room(0.001)
        assert next(client.levels, None) is None


async def test_nobody_waits_for_a_client_that_is_being_closed() -> None:
    # The patience with the deaf one is that of the keepalive, which the good one must bear on a busy machine, too.
    stubborn = an_endpoint(slow_client=SlowClient.WAIT, ping_s=0.5, close_timeout_s=300)
    async with stubborn as endpoint, connect(endpoint.url, max_size=None) as good, deaf_client(endpoint):
        await endpoint.wait_for_clients(2)
        receiving = asyncio.create_task(receive(good, 48))
        async with asyncio.timeout(30):  # less than the close may take
            await endpoint.broadcast(block(48), 0, 48)
            assert len(await receiving) == 48


async def test_shutting_down_is_bounded_by_neither_a_deaf_client_nor_a_silent_one() -> None:
    async with an_endpoint(client_buffer_bytes=64 * MIB, close_timeout_s=0.2) as endpoint, deaf_client(endpoint):
        await endpoint.wait_for_clients(1)
        await endpoint.broadcast(block(32), 0, 32)
        _, silent = await asyncio.open_connection("127.0.0.1", endpoint.port)  # never sends a handshake
        async with asyncio.timeout(8):
            await endpoint.close()
            await endpoint.close()
        silent.close()


async def test_a_client_that_never_finishes_closing_is_cut_at_the_next_heartbeat() -> None:
    async with an_endpoint(client_buffer_bytes=64 * MIB, heartbeat_s=0.1) as endpoint, deaf_client(endpoint) as client:
        await endpoint.wait_for_clients(1)
        await endpoint.broadcast(block(32), 0, 32)
        client.protocol.send_close(1000)
        client.send_data()
        await gone(endpoint)


# On purpose


@pytest.mark.parametrize(("code", "seen"), [(1012, 1012), (4001, 4001), (1006, 1006)])
async def test_clients_can_be_dismissed_and_others_stay(code: int, seen: int) -> None:
    async with an_endpoint() as endpoint, connect(endpoint.url) as first:
        await endpoint.wait_for_clients(1)
        leaving = endpoint.clients
        async with connect(endpoint.url) as second:
            await endpoint.wait_for_clients(2)
            assert endpoint.dismiss(leaving, code, "bye") == 1
            assert endpoint.dismiss(leaving, code, "bye") == 0  # it is on its way out
            await endpoint.broadcast(framed("a"), 0, 1)
            with pytest.raises(ConnectionClosed):
                await first.recv()
            assert (first.close_code, first.close_reason) == (seen, "" if seen == 1006 else "bye")
            assert await second.recv() == "a"


async def test_connections_can_be_refused_for_a_while_and_are_counted() -> None:
    now_ns = 0
    options = EndpointOptions(port=0)
    async with Endpoint(options, now_ns=lambda: now_ns, wall_ns=lambda: 0) as endpoint, connect(endpoint.url) as here:
        await endpoint.wait_for_clients(1)
        endpoint.admission.refuse(10)
        endpoint.admission.refuse(5)  # not shorter than it was
        now_ns = 9
        with pytest.raises(InvalidStatus, match="503"):
            await connect(endpoint.url)
        now_ns = 10
        async with connect(endpoint.url):
            await endpoint.wait_for_clients(2)
        assert endpoint.admission.refused == 1
        await endpoint.broadcast(framed("a"), 0, 1)
        assert await here.recv() == "a"


async def test_while_it_is_silent_there_are_no_heartbeats() -> None:
    async with an_endpoint(lambda latency_ms, wall_ns: b"beat", heartbeat_s=0.01) as endpoint:
        endpoint.is_silent = True
        async with connect(endpoint.url) as client:
            await endpoint.wait_for_clients(1)
            await endpoint.broadcast(framed("a"), 0, 1)
            assert await client.recv() == "a"  # not even the first
            endpoint.is_silent = False
            assert await client.recv() == "beat"


# What clients send


def listening(**options: Any) -> tuple[Endpoint, list[tuple[int, bytes, int]]]:
    """Return an endpoint, and what it will hear: client, payload, opcode."""
    heard: list[tuple[int, bytes, int]] = []
    endpoint = an_endpoint(**options)
    endpoint.on_inbound = lambda client, payload, opcode: heard.append((client.number, payload, opcode))
    return endpoint, heard


@pytest.mark.parametrize("compression", [True, False])
async def test_whoever_asks_is_told_what_each_client_sends(compression: bool) -> None:
    endpoint, heard = listening(compression=compression)
    async with endpoint, connect(endpoint.url) as one:
        await one.send("ä" * 500)
        await until(lambda: len(heard) == 1)
        async with connect(endpoint.url) as other:
            await other.send(b"\x00\xff")
            await until(lambda: len(heard) == 2)
            await one.send("")
            await until(lambda: len(heard) == 3)
    assert heard == [(1, ("ä" * 500).encode(), 1), (2, b"\x00\xff", 2), (1, b"", 1)]


async def test_fragments_are_told_as_one_message() -> None:
    endpoint, heard = listening()
    async with endpoint, connect(endpoint.url) as client:
        await client.send(["a", "b", "c"])
        await client.send([b"1", b"2"])
        await until(lambda: len(heard) == 2)
        assert endpoint.stats()[0].inbound_frames >= 5
    assert heard == [(1, b"abc", 1), (1, b"12", 2)]


async def test_what_is_sent_on_the_heels_of_the_handshake_is_told_after_the_client_has_joined() -> None:
    endpoint = an_endpoint()
    told: list[str] = []
    endpoint.on_join = lambda client: told.append("joined")
    endpoint.on_inbound = lambda client, payload, opcode: told.append(payload.decode())
    async with endpoint:
        _, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
        writer.write(
            b"GET /ws/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            b"\x81\x82\x00\x00\x00\x00hi\x81\x82\x00\x00\x00\x00ho"
        )
        await until(lambda: len(told) == 3)
        writer.close()
        await writer.wait_closed()
    assert told == ["joined", "hi", "ho"]


async def test_what_nobody_asks_for_is_counted_and_dropped() -> None:
    async with an_endpoint() as endpoint, connect(endpoint.url) as client:
        await client.send(["a", "b"])
        await until(lambda: endpoint.stats()[0].inbound_frames >= 2)
        endpoint.on_inbound = lambda client, payload, opcode: pytest.fail("was not there when the client came")
        await client.send("c")
        await until(lambda: endpoint.stats()[0].inbound_frames >= 4)


# Held back


def uncompressed(endpoint: Endpoint) -> connect:
    return connect(endpoint.url, compression=None)


async def test_a_client_that_is_held_gets_what_goes_before_it_first() -> None:
    async with an_endpoint(lambda latency_ms, wall_ns: b"beat") as endpoint, connect(endpoint.url) as client:
        assert await client.recv() == "beat"
        await endpoint.wait_for_clients(1)
        held = endpoint.clients[0]
        held.hold()
        await endpoint.broadcast(framed("a", "b"), 0, 2)
        assert held.buffered_bytes > 0
        before = framed("x")
        held.release([(before.wire(0, 1, held.window_bits), 1)])
        await endpoint.broadcast(framed("c"), 0, 1)
        assert await receive(client, 4) == ["x", "a", "b", "c"]
        (stats,) = endpoint.stats()
        assert (stats.primed, stats.frames_sent) == (1, 3)


async def test_a_client_that_is_held_is_waited_for_like_a_slow_one() -> None:
    async with an_endpoint(slow_client=SlowClient.WAIT) as endpoint, uncompressed(endpoint) as client:
        await endpoint.wait_for_clients(1)
        held = endpoint.clients[0]
        held.hold()
        payloads = ["x" * 100_000] * 50
        sending = asyncio.create_task(endpoint.broadcast(framed(*payloads), 0, len(payloads)))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not held.has_room
        assert not sending.done()
        assert held.buffered_bytes < 2 * MIB
        held.release()
        assert await receive(client, len(payloads)) == payloads
        await sending


async def test_a_client_that_is_held_too_long_is_closed() -> None:
    async with an_endpoint(client_buffer_bytes=1_000) as endpoint, uncompressed(endpoint) as client:
        await endpoint.wait_for_clients(1)
        endpoint.clients[0].hold()
        for _ in range(3):
            await endpoint.broadcast(framed("x" * 800), 0, 1)
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1013


async def test_a_client_that_joins_between_gets_no_part_of_what_is_under_way() -> None:
    endpoint = an_endpoint()
    endpoint.on_join = lambda client: client.hold() or client.release()  # type: ignore[func-returns-value]
    async with endpoint, connect(endpoint.url, compression=None) as early:
        await endpoint.wait_for_clients(1)
        payloads = [f"{number:06d}" + "x" * 10_000 for number in range(500)]
        sending = asyncio.create_task(endpoint.broadcast(framed(*payloads), 0, len(payloads)))
        async with connect(endpoint.url) as late:
            await endpoint.wait_for_clients(2)
            assert not sending.done()
            assert await receive(early, len(payloads)) == payloads
            await sending
            await endpoint.broadcast(framed("next"), 0, 1)
            assert await late.recv() == "next"


async def test_all_can_be_told_how_things_stand() -> None:
    async with an_endpoint() as endpoint, connect(endpoint.url) as one, connect(endpoint.url) as other:
        await endpoint.wait_for_clients(2)
        endpoint.prime(framed("x", "y"), 0, 2)
        assert await receive(one, 2) == await receive(other, 2) == ["x", "y"]
        assert [(stats.primed, stats.frames_sent) for stats in endpoint.stats()] == [(2, 0), (2, 0)]
