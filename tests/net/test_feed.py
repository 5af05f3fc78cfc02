"""Links to a feed, the same rules for both transports."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame
from websockets.frames import Opcode as WireOpcode
from websockets.http11 import Request, Response
from websockets.utils import accept_key

from wsrecorder.core.event import Opcode
from wsrecorder.errors import FeedError, UsageError
from wsrecorder.net.feed import connect_feed
from wsrecorder.net.transport import Closed, FeedOptions, choose_transport

TRANSPORTS = ["websockets", "picows"]
Handler = Callable[[ServerConnection], Awaitable[None]]


class Heard:
    """A receiver that keeps what it hears."""

    def __init__(self) -> None:
        self.opened: list[tuple[str | None, bool]] = []
        self.frames: list[tuple[bytes, int]] = []
        self.has_frame = asyncio.Event()

    def on_open(self, subprotocol: str | None, is_deflated: bool) -> None:
        assert not self.frames, "a frame came before the connection was open"
        self.opened.append((subprotocol, is_deflated))

    def on_frame(self, payload: bytes, opcode: int) -> None:
        self.frames.append((payload, int(opcode)))
        self.has_frame.set()


@asynccontextmanager
async def feed(handler: Handler, **options: object) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, **options) as server:  # type: ignore[arg-type]
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/"


async def hear(url: str, transport: str, **options: object) -> tuple[Heard, Closed]:
    heard = Heard()
    link = await connect_feed(FeedOptions(url, **options), heard, transport)  # type: ignore[arg-type]
    async with asyncio.timeout(30):
        return heard, await link.wait_closed()


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    if request.param == "picows":
        pytest.importorskip("picows", reason="picows is not installed: pip install 'wsrecorder[fast]'")
    return str(request.param)


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_every_kind_of_message_arrives_as_it_was_sent(transport: str, compression: str | None) -> None:
    sent: list[tuple[bytes, int]] = [
        (b"hello", 1),
        (b"\x00\xff", 2),
        (b"", 1),
        (b"", 2),
        ("ö€😀".encode(), 1),
        (b"x" * 200_000, 1),
        (b"y" * 70_000, 2),
    ]

    async def handler(websocket: ServerConnection) -> None:
        for payload, opcode in sent:
            await websocket.send(payload, text=opcode == 1)
        await websocket.send(["frag", "ment", "ed"])
        await websocket.close(1012, "going")

    async with feed(handler, compression=compression) as url:
        heard, closed = await hear(url, transport)
    assert heard.frames == [*sent, (b"fragmented", 1)]
    assert heard.opened == [(None, compression is not None)]
    assert closed == Closed(1012, "going", "closed by the feed")


async def test_deflate_is_not_offered_when_it_is_off(transport: str) -> None:
    async def handler(websocket: ServerConnection) -> None:
        assert "Sec-WebSocket-Extensions" not in websocket.request.headers  # type: ignore[union-attr]
        await websocket.send("hi")

    async with feed(handler) as url:
        heard, closed = await hear(url, transport, deflate=False)
    assert (heard.frames, closed.code) == ([(b"hi", 1)], 1000)


async def test_context_takeover_inflates_message_after_message(transport: str) -> None:
    texts = [f'{{"type": "SIGNAL", "n": {number}}}' for number in range(200)]

    async def handler(websocket: ServerConnection) -> None:
        for text in texts:
            await websocket.send(text)

    async with feed(handler, compression="deflate") as url:
        heard, _ = await hear(url, transport)
    assert [payload.decode() for payload, _ in heard.frames] == texts


async def test_text_that_is_not_utf8_does_not_end_the_connection(transport: str) -> None:
    async def handler(websocket: ServerConnection) -> None:
        websocket.transport.write(Frame(WireOpcode.TEXT, b"\xff\xfe").serialize(mask=False))
        await websocket.send("after")

    async with feed(handler, compression=None) as url:
        heard, closed = await hear(url, transport)
    assert heard.frames == [(b"\xff\xfe", 1), (b"after", 1)]
    assert closed.is_clean


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("parts", [1, 10])
async def test_a_message_over_the_limit_closes_with_1009_and_keeps_those_before(
    transport: str, compression: str | None, parts: int
) -> None:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.send("before")
        text = "z" * 500_000
        await websocket.send([text] * parts if parts > 1 else text)
        await websocket.wait_closed()

    async with feed(handler, compression=compression) as url:
        heard, closed = await hear(url, transport, max_frame_bytes=400_000)
    assert heard.frames == [(b"before", 1)]
    assert (closed.code, closed.cause) == (1009, "a message over the limit of 400,000 bytes")


async def test_who_waits_no_more_for_the_end_leaves_no_error_behind(transport: str) -> None:
    goes_on = asyncio.Event()
    forgotten: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: forgotten.append(context))

    async def handler(websocket: ServerConnection) -> None:
        await goes_on.wait()
        await websocket.send("z" * 500_000)
        await websocket.wait_closed()

    async with feed(handler, compression=None) as url:
        link = await connect_feed(FeedOptions(url, max_frame_bytes=400_000), Heard(), transport)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(link.wait_closed(), 0.001)
        goes_on.set()
        async with asyncio.timeout(30):
            assert (await link.wait_closed()).code == 1009
    del link
    gc.collect()
    assert forgotten == []


async def test_a_cut_connection_is_1006(transport: str) -> None:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.send("before")
        websocket.transport.abort()

    async with feed(handler) as url:
        _, closed = await hear(url, transport)
    assert (closed.code, closed.is_clean) == (1006, False)
    assert closed.cause.startswith("connection lost")


async def test_we_can_close_and_abort(transport: str) -> None:
    codes: list[int | None] = []

    async def handler(websocket: ServerConnection) -> None:
        await websocket.send("hi")
        await websocket.wait_closed()
        codes.append(websocket.close_code)

    async with feed(handler) as url:
        link = await connect_feed(FeedOptions(url), Heard(), transport)
        await link.close()
        link = await connect_feed(FeedOptions(url), Heard(), transport)
        link.abort()
        assert (await link.wait_closed()).code == 1006
    assert codes == [1000, 1006]


async def test_pausing_holds_the_server_back(transport: str) -> None:
    written = 0

    async def handler(websocket: ServerConnection) -> None:
        nonlocal written
        for _ in range(2_000):
            await websocket.send(b"x" * 65_536)
            written += 1

    heard = Heard()
    async with feed(handler, compression=None) as url:
        link = await connect_feed(FeedOptions(url), heard, transport)
        link.pause()
        before = -1
        while written != before:  # until the buffers on the way are full
            before = written
            await asyncio.sleep(0.1)
        assert written < 2_000
        link.resume()
        async with asyncio.timeout(30):
            await link.wait_closed()
    assert len(heard.frames) == 2_000


async def test_what_we_send_arrives_with_its_opcode(transport: str) -> None:
    received: list[str | bytes] = []

    async def handler(websocket: ServerConnection) -> None:
        received.append(await websocket.recv())
        received.append(await websocket.recv())

    async with feed(handler) as url:
        link = await connect_feed(FeedOptions(url), Heard(), transport)
        link.send(b"subscribe", Opcode.TEXT)
        link.send(b"\x00", Opcode.BINARY)
        await link.wait_closed()
    assert received == ["subscribe", b"\x00"]


async def test_headers_origin_and_subprotocol_reach_the_server(transport: str) -> None:
    seen: dict[str, str | None] = {}

    async def handler(websocket: ServerConnection) -> None:
        headers = websocket.request.headers  # type: ignore[union-attr]
        seen.update({key: headers.get(key) for key in ("X-Key", "Origin", "Sec-WebSocket-Protocol")})

    async with feed(handler, subprotocols=["v2"]) as url:
        heard, _ = await hear(
            url, transport, headers={"X-Key": "abc"}, origin="http://localhost:5173", subprotocols=("v3", "v2")
        )
    assert seen["X-Key"] == "abc"
    assert seen["Origin"] == "http://localhost:5173"
    assert seen["Sec-WebSocket-Protocol"] == "v3, v2"
    assert heard.opened[0][0] == "v2"


@pytest.mark.parametrize("status", [401, 403, 404, 429, 503])
async def test_a_refused_handshake_names_the_status_and_what_to_do(transport: str, status: int) -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(status, "no")

    async def handler(websocket: ServerConnection) -> None:
        raise AssertionError("the handshake was refused")

    async with feed(handler, process_request=refuse) as url:
        with pytest.raises(FeedError, match=f"HTTP {status}") as caught:
            await hear(url, transport)
    assert caught.value.hint


async def test_a_port_where_nobody_listens_says_so(transport: str) -> None:
    with pytest.raises(FeedError, match="cannot be reached") as caught:
        await hear("ws://127.0.0.1:1/ws/", transport)
    assert "check host and port" in caught.value.hint


async def test_a_server_of_another_protocol_says_so(transport: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(FeedError, match="did not answer as a WebSocket server"):
            await hear(f"ws://127.0.0.1:{port}/ws/", transport)


async def test_a_server_that_says_nothing_times_out(transport: str) -> None:
    hung_up = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1_024):
            pass
        writer.close()
        hung_up.set()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(FeedError, match=r"within 0\.1 s"):
            await hear(f"ws://127.0.0.1:{port}/ws/", transport, open_timeout_s=0.1)
        async with asyncio.timeout(30):
            await hung_up.wait()


WRONG = {
    "reserved opcode": b"\x83\x01x",
    "reserved bit": b"\xa1\x01x",
    "reserved bit of a close": b"\x98\x00",
    "compressed, none agreed": b"\xc1\x01\x00",
    "fragmented ping": b"\x09\x00",
    "masked": b"\x81\x81\0\0\0\0x",
    "continuation of nothing": b"\x80\x01x",
    "message in a message": b"\x01\x01x\x81\x01y",
    "fragment in a message": b"\x01\x01x\x01\x01y",
    "close with half a code": b"\x88\x01\x03",
    "close with a code of nobody": b"\x88\x02\x03\xed",
    "close with a reason that is not UTF-8": b"\x88\x03\x03\xe8\xff",
}


@pytest.mark.parametrize("is_in_one_piece", [True, False], ids=["one-piece", "pieces"])
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_what_breaks_the_protocol_ends_the_connection_and_nothing_behind_it_is_taken(
    transport: str, wrong: bytes, is_in_one_piece: bool
) -> None:
    async def handler(websocket: ServerConnection) -> None:
        pieces = [b"\x81\x06before", wrong, b"\x81\x05after", b"\x81\x05after"]
        for piece in [b"".join(pieces)] if is_in_one_piece else pieces:
            websocket.transport.write(piece)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await websocket.wait_closed()

    async with feed(handler, compression=None) as url:
        heard, closed = await hear(url, transport)
    assert heard.frames == [(b"before", 1)]
    assert closed.code in (1002, 1007)
    assert closed.cause


async def test_nothing_is_taken_behind_a_close_frame(transport: str) -> None:
    async def handler(websocket: ServerConnection) -> None:
        websocket.transport.write(b"\x81\x06before" + b"\x88\x02\x03\xe8" + b"\x81\x05after")
        await websocket.wait_closed()

    async with feed(handler, compression=None) as url:
        heard, closed = await hear(url, transport)
    assert (heard.frames, closed.code) == ([(b"before", 1)], 1000)


async def test_a_server_that_stays_after_its_error_is_left(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsrecorder.net.websockets_link._CLOSE_TIMEOUT_S", 0.05)
    is_gone = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line[19:] for line in head.decode().split("\r\n") if line.lower().startswith("sec-websocket-key: "))
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(key).encode() + b"\r\n\r\n\x83\x00"
        )
        while await reader.read(1_024):
            pass
        writer.close()
        is_gone.set()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        _, closed = await hear(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/", transport)
        assert closed.code == 1002
        async with asyncio.timeout(30):
            await is_gone.wait()


async def test_an_answer_that_comes_too_late_opens_nothing(transport: str) -> None:
    is_given_up, is_gone = asyncio.Event(), asyncio.Event()
    heard = Heard()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line[19:] for line in head.decode().split("\r\n") if line.lower().startswith("sec-websocket-key: "))
        await is_given_up.wait()
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(key).encode() + b"\r\n\r\n\x81\x04late"
        )
        with suppress(ConnectionError):
            while await reader.read(1_024):
                pass
        writer.close()
        is_gone.set()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server, asyncio.timeout(30):
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/"
        with pytest.raises(FeedError, match="did not answer within"):
            await connect_feed(FeedOptions(url, open_timeout_s=0.05), heard, transport)
        is_given_up.set()
        await is_gone.wait()
    assert not heard.opened
    assert not heard.frames


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Sec-WebSocket-Extensions", "x-unasked"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; nonsense=1"),
        ("Sec-WebSocket-Protocol", "v9"),
    ],
)
async def test_a_server_that_agrees_to_what_was_not_offered_is_refused(transport: str, name: str, value: str) -> None:
    def agree(connection: ServerConnection, request: Request, response: Response) -> None:
        response.headers[name] = value

    async def handler(websocket: ServerConnection) -> None:
        await websocket.wait_closed()

    async with feed(handler, process_response=agree, compression=None) as url:
        with pytest.raises(FeedError, match="did not answer as a WebSocket server"):
            await hear(url, transport)


async def test_the_limit_on_connecting_covers_tls(transport: str) -> None:
    hung_up = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1_024):
            pass
        writer.close()
        hung_up.set()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server, asyncio.timeout(30):
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(FeedError, match=r"within 0\.1 s"):
            await hear(f"wss://127.0.0.1:{port}/ws/", transport, open_timeout_s=0.1)
        await hung_up.wait()


async def test_a_close_reason_is_told_without_credentials(transport: str) -> None:
    async def close(connection: ServerConnection) -> None:
        await connection.close(4001, "go to wss://me:hunter2@feed/?sid=hunter2, not hunter3")

    async with feed(close) as url:
        _, closed = await hear(url, transport, secrets=frozenset({"hunter3"}))
    assert closed.reason == "go to wss://***@feed/?sid=***, not ***"


@pytest.mark.parametrize("url", ["http://localhost/ws/", "localhost:8000", "ws://", "ws:///ws/", "ws://host:99999/"])
def test_a_url_that_is_not_a_websockets_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        FeedOptions(url)
    assert "ws://localhost:8000/ws/" in caught.value.hint


def test_an_unknown_transport_is_refused() -> None:
    with pytest.raises(UsageError, match="carrier pigeon"):
        choose_transport("carrier pigeon")
    assert choose_transport("websockets") == "websockets"
    assert choose_transport() in TRANSPORTS
