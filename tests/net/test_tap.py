"""A tap is not noticed: each end gets what the other sent, and what went by is told in order."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response

from tests.net.tapping import IN, OUT, dial, dial_open, serving, serving_raw, shake_hands, tapped, until
from wsrecorder.errors import EndpointError, UsageError
from wsrecorder.net.tap import Tap
from wsrecorder.net.tap_connection import TapConnection
from wsrecorder.net.tap_options import TapOptions
from wsrecorder.net.turned_away import Cause

PAYLOADS: list[str | bytes] = [
    "",
    b"",
    "{}",
    b"\x00\xff",
    "é",
    "x" * 125,
    "x" * 126,
    "y" * 65_535,
    b"z" * 65_536,
    "w" * 3_000_000,
]


def as_bytes(payload: str | bytes) -> bytes:
    return payload.encode() if isinstance(payload, str) else payload


async def echo(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)


# Messages


@pytest.mark.parametrize("client_deflates", [False, True])
@pytest.mark.parametrize("server_deflates", [False, True])
async def test_messages_arrive_and_are_told_both_ways(client_deflates: bool, server_deflates: bool) -> None:
    compression = "deflate" if client_deflates else None
    async with (
        serving(echo, max_size=None, compression="deflate" if server_deflates else None) as url,
        tapped(url) as (tap, heard),
        connect(tap.url, max_size=None, compression=compression) as client,
    ):
        for payload in PAYLOADS:
            await client.send(payload)
            assert await client.recv() == payload
        assert bool(client.protocol.extensions) == (client_deflates and server_deflates)
    expected = [as_bytes(payload) for payload in PAYLOADS]
    assert heard.payloads(OUT) == heard.payloads(IN) == expected
    assert [opcode for _, way, _, opcode in heard.messages if way is IN] == [
        1 if isinstance(payload, str) else 2 for payload in PAYLOADS
    ]
    assert heard.opened[0].is_deflated == (client_deflates and server_deflates)
    assert heard.stamps_ns == sorted(heard.stamps_ns)
    assert tap.added.count == 2 * len(PAYLOADS)


@pytest.mark.parametrize("takeover", ["server_no_context_takeover", "client_no_context_takeover", ""])
async def test_compression_is_read_whatever_was_agreed_on_the_context(takeover: str) -> None:
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

    offer = ClientPerMessageDeflateFactory(
        server_no_context_takeover=takeover.startswith("server"),
        client_no_context_takeover=takeover.startswith("client"),
    )
    async with (
        serving(echo) as url,
        tapped(url) as (tap, heard),
        connect(tap.url, extensions=[offer], compression=None) as client,
    ):
        for number in range(20):
            await client.send(f"the same words again and again, {number}")
            await client.recv()
    assert heard.payloads(OUT) == heard.payloads(IN)
    assert heard.payloads(IN)[19] == b"the same words again and again, 19"
    assert heard.opened[0].is_deflated


@pytest.mark.parametrize("closer", ["server", "client"])
async def test_ends_over_picows_are_served_as_well(closer: str) -> None:
    picows = pytest.importorskip("picows", reason="picows is not installed: pip install 'wsrecorder[fast]'")
    got: list[bytes] = []
    codes: dict[str, int] = {}

    class End(picows.WSListener):  # type: ignore[misc, name-defined]
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            if frame.msg_type == picows.WSMsgType.CLOSE:
                codes[self.name] = int(frame.get_close_code())
                transport.send_close(frame.get_close_code(), frame.get_close_message())
                transport.disconnect()
            elif self.name == "client":
                got.append(frame.get_payload_as_bytes())
            else:
                transport.send(frame.msg_type, frame.get_payload_as_bytes())
                if closer == "server" and frame.get_payload_as_bytes() == b"99":
                    transport.send_close(4001, b"enough")

    server = await picows.ws_create_server(lambda _: End("server"), "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/"
    async with tapped(url) as (tap, heard):
        transport, _ = await picows.ws_connect(lambda: End("client"), tap.url)
        for number in range(100):
            transport.send(picows.WSMsgType.BINARY, b"%d" % number)
        await until(lambda: len(got) == 100)
        if closer == "client":
            transport.send_close(4001, b"enough")
        await transport.wait_disconnected()
        await until(lambda: 0 in heard.closed)
    server.close()
    assert got == heard.payloads(IN) == heard.payloads(OUT) == [b"%d" % number for number in range(100)]
    assert codes["client" if closer == "server" else "server"] == 4001
    assert (heard.closed[0].code, heard.closed[0].reason) == (4001, "enough")
    assert heard.closed[0].cause == f"closed by the {closer}"


async def test_bytes_pass_unchanged_whatever_they_are() -> None:
    # Fragments with a ping between them, reserved bits, text that is not UTF-8, a frame of no known kind, nonsense.
    from_server = b"".join(
        [
            b"\x01\x02ab\x89\x03png\x00\x01c\x80\x01d",
            b"\xf1\x01x",
            b"\x81\x02\xff\xfe",
            b"\x83\x00",
            b"\x82\x7f" + (200_000).to_bytes(8, "big") + os.urandom(200_000),
        ]
    )
    to_server = b"".join(
        Frame(opcode, os.urandom(size), fin=fin).serialize(mask=True)
        for opcode, size, fin in [(Opcode.TEXT, 70_000, False), (Opcode.PONG, 5, True), (Opcode.CONT, 3, True)]
    )
    got = bytearray()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer, from_server[:7])  # frames may come in one packet with the handshake
        await asyncio.sleep(0)
        for start in range(7, len(from_server), 999):
            writer.write(from_server[start : start + 999])
        got.extend(await reader.readexactly(len(to_server)))

    async with serving_raw(handler) as url, tapped(url) as (tap, heard):
        reader, writer = await dial_open(tap)
        writer.write(to_server)
        assert await reader.readexactly(len(from_server)) == from_server
        await until(lambda: len(got) == len(to_server))
        assert bytes(got) == to_server
        writer.close()
    # A fragmented message is told in one piece; what is compressed though nobody agreed on it is not known, nor is
    # what a frame of no known kind says.
    assert heard.payloads(IN)[0] == b"abcd"
    assert heard.payloads(IN)[1] == b"\xff\xfe"
    assert [(way, size) for _, way, size, _ in heard.dropped] == [(IN, 1), (IN, 0)]
    assert len(heard.payloads(OUT)) == 1
    assert len(heard.payloads(OUT)[0]) == 70_003


async def test_pings_and_pongs_go_end_to_end_with_their_payloads() -> None:
    pings: list[bytes] = []

    async def handler(websocket: ServerConnection) -> None:
        pong = await websocket.ping(b"from the server")
        await pong
        await websocket.send("ponged")
        await websocket.wait_closed()

    class Watched(ServerConnection):
        def process_event(self, event: object) -> None:
            if isinstance(event, Frame) and event.opcode in (Opcode.PING, Opcode.PONG):
                pings.append(bytes(event.data))
            super().process_event(event)  # type: ignore[arg-type]

    async with (
        serving(handler, create_connection=Watched) as url,
        tapped(url) as (tap, heard),
        connect(tap.url) as client,
    ):
        assert await client.recv() == "ponged"
        await (await client.ping(b"from the client"))
    assert pings == [b"from the server", b"from the client"]
    assert heard.payloads(IN) == [b"ponged"]


async def test_a_message_over_the_limit_is_passed_on_and_told_as_dropped() -> None:
    async with (
        serving(echo) as url,
        tapped(url, max_frame_bytes=100) as (tap, heard),
        connect(tap.url, compression=None) as client,
    ):
        for payload in ("a" * 100, "b" * 101, "c" * 500_000, "d"):
            await client.send(payload)
            assert await client.recv() == payload
    assert heard.payloads(IN) == heard.payloads(OUT) == [b"a" * 100, b"d"]
    assert [size for _, way, size, _ in heard.dropped if way is IN] == [101, 500_000]
    assert heard.dropped[0][3] == "a message over the limit of 100 bytes"


async def test_a_message_over_the_limit_once_inflated_leaves_the_next_readable() -> None:
    async with serving(echo) as url, tapped(url, max_frame_bytes=1_000) as (tap, heard), connect(tap.url) as client:
        for payload in ("first", "x" * 50_000, "first again"):
            await client.send(payload)
            assert await client.recv() == payload
    assert heard.payloads(IN) == heard.payloads(OUT) == [b"first", b"first again"]
    assert len(heard.dropped) == 2


# Handshakes


async def test_path_query_subprotocol_and_headers_go_on() -> None:
    seen: list[Request] = []

    async def handler(websocket: ServerConnection) -> None:
        assert websocket.request is not None
        seen.append(websocket.request)

    async with serving(handler, subprotocols=["v2"], process_response=_with_cookie) as url, tapped(url) as (tap, heard):
        headers = {"Cookie": "a=b", "Authorization": "Bearer t", "X-Mine": "1", "Origin": "http://localhost:5173"}
        async with connect(
            tap.url.replace("/ws/", "/other/path?x=1&y=%20"),
            subprotocols=["v1", "v2"],
            additional_headers=headers,
            user_agent_header="me/1",
        ) as client:
            assert client.subprotocol == "v2"
            assert client.response is not None
            assert client.response.headers["Set-Cookie"] == "s=1"
    (request,) = seen
    assert request.path == "/other/path?x=1&y=%20"
    assert {name: request.headers[name] for name in headers} == headers
    assert request.headers["User-Agent"] == "me/1"
    assert request.headers["Host"] == url.split("/")[2]
    assert heard.opened[0].target == "/other/path?x=1&y=%20"
    assert heard.opened[0].subprotocol == "v2"


def _with_cookie(connection: ServerConnection, request: Request, response: Response) -> None:
    response.headers["Set-Cookie"] = "s=1"


async def test_headers_can_be_selected_and_set() -> None:
    seen: list[Request] = []

    async def handler(websocket: ServerConnection) -> None:
        assert websocket.request is not None
        seen.append(websocket.request)

    options = {"forward_headers": frozenset({"cookie"}), "headers": {"Origin": "https://there", "X-Key": "k"}}
    async with (
        serving(handler) as url,
        tapped(url.replace("//", "//u:p%40@"), **options) as (tap, _),
        connect(tap.url, additional_headers={"Cookie": "c", "X-Mine": "1"}) as client,
    ):
        await client.wait_closed()
    headers = seen[0].headers
    assert (headers["Cookie"], headers["Origin"], headers["X-Key"]) == ("c", "https://there", "k")
    assert headers["Authorization"] == "Basic dTpwQA=="
    assert "X-Mine" not in headers
    assert "User-Agent" not in headers


async def test_no_compression_is_offered_where_it_is_not_wanted() -> None:
    async with serving(echo) as url, tapped(url, deflate=False) as (tap, _), connect(tap.url) as client:
        assert not client.protocol.extensions


@pytest.mark.parametrize("status", [403, 404, 503])
async def test_a_refusal_reaches_the_client_whole(status: int) -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        response = connection.respond(status, "not here\n")
        response.headers["X-Why"] = "because"
        return response

    async with serving(echo, process_request=refuse) as url, tapped(url) as (tap, heard):
        with pytest.raises(InvalidStatus) as refused:
            await connect(tap.url)
        assert refused.value.response.status_code == status
        assert refused.value.response.body == b"not here\n"
        assert refused.value.response.headers["X-Why"] == "because"
        await until(lambda: tap.turned_away.counts == {Cause.UPSTREAM: 1})
    assert not heard.opened


async def test_a_server_that_is_away_is_a_bad_gateway() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with tapped(f"ws://127.0.0.1:{port}/ws/") as (tap, heard):
        with pytest.raises(InvalidStatus) as refused:
            await connect(tap.url)
        assert refused.value.response.status_code == 502
        assert f"127.0.0.1:{port} cannot be reached" in (refused.value.response.body or b"").decode()
    assert not heard.opened


async def test_a_server_that_never_answers_is_a_gateway_timeout() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving_raw(handler) as url, tapped(url, open_timeout_s=0.05) as (tap, _):
        with pytest.raises(InvalidStatus) as refused:
            await connect(tap.url)
        assert refused.value.response.status_code == 504


async def test_a_client_that_goes_while_the_server_is_called_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called = asyncio.Event()

    class Silent(asyncio.Transport):
        """Closes without a word, as uvloop's does when the call is given up."""

        def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
        def write(self, data: object) -> None: ...
        def is_closing(self) -> bool:
            return True

        def close(self) -> None: ...
        def abort(self) -> None: ...

    async def create_connection(protocol: Callable[[], asyncio.Protocol], *args: object, **options: object) -> None:
        protocol().connection_made(Silent())
        called.set()
        await asyncio.Event().wait()

    async with tapped("ws://127.0.0.1:1/ws/") as (tap, _):
        _, writer = await dial(tap)
        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", create_connection)
        writer.write(b"GET /ws/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n")
        await called.wait()
        writer.transport.abort()
        tap.connections[0].client.abort()  # it is not read, so it is not seen to go
        async with asyncio.timeout(30):
            while tap.connections:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.001)


async def test_a_server_that_hangs_up_during_the_handshake_hangs_up_on_the_client() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with serving_raw(handler) as url, tapped(url) as (tap, _):
        reader, writer = await dial(tap)
        writer.write(b"GET /ws/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n")
        assert await reader.read() == b""
        writer.close()


async def test_plain_http_is_passed_on_one_request_to_a_connection() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(4)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + request + body)

    async with serving_raw(handler) as url, tapped(url) as (tap, heard):
        reader, writer = await dial(tap)
        writer.write(b"POST /api HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\nbo")
        await asyncio.sleep(0.01)
        writer.write(b"dy")
        answer = await reader.read()
        writer.close()
    assert answer.endswith(b"\r\n\r\nbody")
    assert b"Connection: close\r\nContent" not in answer.partition(b"\r\n\r\n")[0]
    assert b"POST /api HTTP/1.1\r\nHost: " + url.split("/")[2].encode() in answer
    assert b"keep-alive" not in answer
    assert not heard.opened


@pytest.mark.parametrize("request_", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nno header\r\n\r\n", b"x" * 70_000])
async def test_what_is_no_request_is_answered_with_400(request_: bytes) -> None:
    async with tapped("ws://127.0.0.1:1/") as (tap, _):
        reader, writer = await dial(tap)
        writer.write(request_)
        assert (await reader.read()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        writer.close()


# Ends


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "bye"), (1008, "policy"), (1011, "é"), (1012, ""), (4000, "x" * 123)]
)
@pytest.mark.parametrize("closer", ["server", "client"])
async def test_close_codes_and_reasons_reach_the_other_end(closer: str, code: int, reason: str) -> None:
    seen: list[tuple[int, str]] = []

    async def handler(websocket: ServerConnection) -> None:
        if closer == "server":
            await websocket.close(code, reason)
        else:
            await websocket.wait_closed()
            assert websocket.close_code is not None
            seen.append((websocket.close_code, websocket.close_reason or ""))

    async with serving(handler) as url, tapped(url) as (tap, heard):
        async with connect(tap.url) as client:
            if closer == "server":
                await client.wait_closed()
                assert client.close_code is not None
                seen.append((client.close_code, client.close_reason or ""))
            else:
                await client.close(code, reason)
        await until(lambda: bool(heard.closed) and bool(seen))
    assert seen == [(code, reason)]
    closed = heard.closed[0]
    assert (closed.code, closed.reason, closed.cause) == (code, reason, f"closed by the {closer}")


async def test_a_close_frame_without_a_code_stays_without_one() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer)
        writer.write(b"\x88\x00")
        await reader.readexactly(6)  # its answer, masked

    async with serving_raw(handler) as url, tapped(url) as (tap, heard):
        async with connect(tap.url) as client:
            await client.wait_closed()
            assert client.close_code == 1005
        await until(lambda: bool(heard.closed))
    assert heard.closed[0].code == 1005


@pytest.mark.parametrize("is_reset", [False, True])
async def test_a_server_that_cuts_the_connection_cuts_the_clients(is_reset: bool) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer, b"\x81\x04last")
        await reader.readexactly(1)
        if is_reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async with serving_raw(handler) as url, tapped(url) as (tap, heard):
        reader, writer = await dial_open(tap)
        assert await reader.readexactly(6) == b"\x81\x04last"
        writer.write(b"\x8a")
        if is_reset:
            with pytest.raises(ConnectionResetError):
                await reader.read()
        else:
            assert await reader.read() == b""
        writer.close()
        with suppress(ConnectionResetError):
            await writer.wait_closed()
        await until(lambda: bool(heard.closed))
    assert (heard.closed[0].code, heard.closed[0].cause) == (1006, "the server cut the connection")


async def test_a_client_that_cuts_its_connection_cuts_the_servers() -> None:
    code: list[int | None] = []

    async def handler(websocket: ServerConnection) -> None:
        await websocket.wait_closed()
        code.append(websocket.close_code)

    async with serving(handler) as url, tapped(url) as (tap, heard):
        client = await connect(tap.url)
        client.transport.abort()
        await until(lambda: bool(code) and bool(heard.closed))
        await client.wait_closed()
    assert code == [1006]
    assert (heard.closed[0].code, heard.closed[0].cause) == (1006, "the client cut the connection")


async def test_the_tap_ends_as_a_server_that_restarts() -> None:
    codes: list[int | None] = []

    async def handler(websocket: ServerConnection) -> None:
        await websocket.send("hello")
        await websocket.wait_closed()
        codes.append(websocket.close_code)

    async with serving(handler) as url:
        async with tapped(url) as (tap, heard):
            clients = [await connect(tap.url) for _ in range(3)]
            for client in clients:
                assert await client.recv() == "hello"
        for client in clients:
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 1012
            await client.wait_closed()
        await until(lambda: len(codes) == 3)
    assert codes == [1001] * 3
    assert {closed.code for closed in heard.closed.values()} == {1012}


async def test_the_tap_ends_between_frames_even_in_a_flood() -> None:
    frame = b"\x82\x7f" + (1 << 20).to_bytes(8, "big") + b"q" * (1 << 20)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer)
        with suppress(OSError):
            while True:
                writer.write(frame)
                await writer.drain()

    async with serving_raw(handler) as url, tapped(url) as (tap, heard), connect(tap.url, max_size=None) as client:
        got = 0
        closing: asyncio.Task[None] | None = None
        with suppress(ConnectionClosedError):
            async for message in client:
                assert message == b"q" * (1 << 20)
                got += 1
                if got == 5:
                    closing = asyncio.create_task(tap.close())
        assert closing is not None
        await closing
        assert client.close_code == 1012
    assert len(heard.payloads(IN)) == got


# Many clients


async def test_a_client_that_takes_nothing_slows_no_other_and_holds_its_own_server_back() -> None:
    sent: dict[str, int] = {}

    async def handler(websocket: ServerConnection) -> None:
        assert websocket.request is not None
        name = websocket.request.path
        sent[name] = 0
        with suppress(ConnectionClosed):
            while name == "/frozen" or sent[name] < 2_000:
                await websocket.send(b"f" * 10_000)
                sent[name] += 1

    async with serving(handler, compression=None) as url, tapped(url, buffer_bytes=1 << 16) as (tap, heard):
        _, frozen = await dial_open(tap, "/frozen")
        frozen.transport.pause_reading()
        await until(lambda: sent.get("/frozen", 0) > 10)
        async with connect(f"ws://127.0.0.1:{tap.port}/live", compression=None) as client:
            for _ in range(2_000):
                await client.recv()
        await asyncio.sleep(0.1)
        before = sent["/frozen"]
        await asyncio.sleep(0.1)
        assert sent["/frozen"] == before, "the server can still send: somebody buffers without end"
        assert len(heard.payloads(IN, 1)) == 2_000
        frozen.transport.abort()


async def test_reading_is_held_back_for_all_and_goes_on() -> None:
    async with serving(echo) as url, tapped(url) as (tap, heard), connect(tap.url) as client:
        tap.hold_back()
        await client.send("late")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.recv(), 0.05)
        assert not heard.messages
        tap.read_on()
        assert await client.recv() == "late"


async def test_a_port_in_use_is_an_error_that_says_so() -> None:
    async with tapped("ws://127.0.0.1:1/") as (tap, heard):
        with pytest.raises(EndpointError, match="in use"):
            async with Tap(TapOptions("ws://127.0.0.1:1/", port=tap.port), heard, lambda: 0):
                pass


def test_what_is_no_websocket_url_is_refused() -> None:
    with pytest.raises(UsageError, match="not a WebSocket URL"):
        TapOptions("http://localhost/")


async def test_of_a_client_that_has_gone_nothing_is_kept() -> None:
    def kept() -> int:
        gc.collect()
        return sum(isinstance(entry, TapConnection) for entry in gc.get_objects())

    async with serving(echo) as url, tapped(url) as (tap, _):
        before = kept()
        async with connect(tap.url) as client:
            await client.send("x")
            assert await client.recv() == "x"
        await until(lambda: not tap.connections)
        await asyncio.sleep(0)  # the loop itself lets go of what it has just called
        assert kept() <= before
