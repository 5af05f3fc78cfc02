"""Feeds over TLS, over real sockets and both transports: who is believed, what we show, what is said when it fails."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from tests.certificates import Authority, make_authority
from wsrecorder.errors import FeedError, UsageError
from wsrecorder.net.feed import connect_feed, loop_factory
from wsrecorder.net.tls import Certificate, client_context
from wsrecorder.net.transport import FeedOptions


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(params=["websockets", "picows"])
def transport(request: pytest.FixtureRequest) -> str:
    if request.param == "picows":
        pytest.importorskip("picows")
    return str(request.param)


class Taking:
    """Takes what comes."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.has_come = asyncio.Event()

    def on_open(self, subprotocol: str | None, is_deflated: bool) -> None:
        """Nothing to do."""

    def on_frame(self, payload: bytes, opcode: int) -> None:
        self.payloads.append(payload)
        self.has_come.set()


@asynccontextmanager
async def feed(certificate: Certificate, *, asks_for: Path | None = None) -> AsyncIterator[str]:
    """A feed over TLS that tells the headers it was asked with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.load_into(context)
    if asks_for is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(asks_for)

    async def tell(connection: ServerConnection) -> None:
        assert connection.request is not None
        await connection.send(repr(sorted(connection.request.headers.raw_items())))
        await connection.wait_closed()

    async with serve(tell, "localhost", 0, ssl=context) as server:
        yield f"wss://localhost:{server.sockets[0].getsockname()[1]}/ws/"


async def first(url: str, transport: str, **options: Any) -> str:
    """Connect and return the first message."""
    taking = Taking()
    link = await connect_feed(FeedOptions(url, **options), taking, transport)
    try:
        async with asyncio.timeout(30):
            closed = asyncio.create_task(link.wait_closed())
            come = asyncio.create_task(taking.has_come.wait())
            await asyncio.wait((closed, come), return_when=asyncio.FIRST_COMPLETED)
            come.cancel()
            if not taking.payloads:
                raise FeedError(closed.result().cause, hint="")
            closed.cancel()
    finally:
        await link.close()
    return taking.payloads[0].decode()


async def test_a_feed_of_a_named_authority_is_believed(authority: Authority, transport: str) -> None:
    async with feed(authority.issue("good")) as url:
        assert "Host" in await first(url, transport, tls=client_context(authority.path, None))


@pytest.mark.parametrize(
    ("host", "days", "is_named", "says"),
    [
        ("localhost", (-1, 1), False, "an authority that is not known here"),
        ("localhost", (-2, -1), True, "has expired"),
        ("localhost", (1, 2), True, "is not valid yet"),
        ("elsewhere.example", (-1, 1), True, "is for another host"),
    ],
)
async def test_a_feed_that_cannot_be_trusted_is_not_recorded(
    authority: Authority, transport: str, host: str, days: tuple[int, int], is_named: bool, says: str
) -> None:
    tls = client_context(authority.path, None) if is_named else None
    async with feed(authority.issue("bad", host, days)) as url:
        with pytest.raises(FeedError, match=f"{url} cannot be trusted: its certificate.*{says}"):
            await first(url, transport, tls=tls)


async def test_a_client_certificate_is_shown(authority: Authority, transport: str) -> None:
    async with feed(authority.issue("server"), asks_for=authority.path) as url:
        tls = client_context(authority.path, authority.issue("client"))
        assert "Host" in await first(url, transport, tls=tls)
        with pytest.raises(FeedError):  # in TLS 1.3 it may hear of it before or after the handshake
            await first(url, transport, tls=client_context(authority.path, None))


def test_a_key_of_another_certificate_is_told_at_once(authority: Authority) -> None:
    one, other = authority.issue("one"), authority.issue("other")
    with pytest.raises(UsageError, match="is not the key of"):
        client_context(None, Certificate(one.cert, other.key))


async def test_a_server_without_tls_is_told_from_one_that_is_not_trusted(transport: str) -> None:
    async def end(connection: ServerConnection) -> None:
        """Say nothing."""

    async with serve(end, "localhost", 0) as server:
        url = f"wss://localhost:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(FeedError, match=f"{url} cannot be .*: [a-z]"):
            await first(url, transport)


def test_a_server_without_tls_costs_one_line(capfd: pytest.CaptureFixture[str], transport: str) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.close()

    async def call() -> None:
        async with await asyncio.start_server(cut, "127.0.0.1", 0) as server:
            url = f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            with pytest.raises(FeedError, match=f"{url} cannot be reached: [a-zA-Z]"):
                await first(url, transport)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(call())
    assert capfd.readouterr() == ("", "")


async def test_user_and_password_of_a_url_are_sent_and_not_shown(authority: Authority, transport: str) -> None:
    async with feed(authority.issue("basic")) as url:
        with_user = url.replace("wss://", "wss://me:hunter2%40x@")
        told = await first(with_user, transport, tls=client_context(authority.path, None))
        assert "Basic bWU6aHVudGVyMkB4" in told  # me:hunter2@x
        with pytest.raises(FeedError) as refused:
            await first(with_user, transport)
        assert "hunter2" not in repr(refused.value) + refused.value.message
        assert "hunter2" not in repr(FeedOptions(with_user))


async def test_credentials_are_not_taken_along_to_another_server(transport: str) -> None:
    asked: list[Sequence[tuple[str, str]]] = []

    def note(connection: ServerConnection, request: Request) -> None:
        asked.append(list(request.headers.raw_items()))

    async def end(connection: ServerConnection) -> None:
        """Say nothing."""

    async with serve(end, "127.0.0.1", 0, process_request=note) as elsewhere:
        location = f"ws://127.0.0.1:{elsewhere.sockets[0].getsockname()[1]}/"

        def lead(connection: ServerConnection, request: Request) -> Response:
            return Response(302, "Found", Headers({"Location": location, "Content-Length": "0"}))

        async with serve(end, "127.0.0.1", 0, process_request=lead) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            with pytest.raises(FeedError, match="sends elsewhere"):
                await first(url, transport, headers={"X-Api-Key": "hunter2"})
    assert asked == []
