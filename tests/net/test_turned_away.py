"""Whoever is not let in is told of in the log and counted: by the endpoint, by the tap, one by one or together."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from tests.certificates import make_certificate
from tests.net.tapping import serving, tapped, until
from wsrecorder.clock import SystemClock
from wsrecorder.net.access import Access
from wsrecorder.net.endpoint import Endpoint
from wsrecorder.net.endpoint_options import EndpointOptions
from wsrecorder.net.tls import client_context
from wsrecorder.net.turned_away import Cause, TurnedAway

TOKEN = "correct-horse-battery"
LOG = logging.getLogger("wsrecorder.tests.turned_away")


@asynccontextmanager
async def serving_endpoint(**access: Any) -> AsyncIterator[Endpoint]:
    clock = SystemClock()
    options = EndpointOptions(port=0, close_timeout_s=0.5, access=Access(**access))
    async with Endpoint(options, now_ns=clock.now_ns, wall_ns=clock.wall_ns) as endpoint:
        yield endpoint


def assert_untold(caplog: pytest.LogCaptureFixture, *secrets: str) -> None:
    """Check that none of these stands in what wsrec logged."""
    ours = "".join(record.getMessage() for record in caplog.records if record.name.startswith("wsrecorder"))
    assert not any(secret in ours for secret in secrets)


async def be_refused(url: str, **options: Any) -> None:
    with pytest.raises(InvalidStatus):
        await connect(url, **options)


async def say(port: int, said: bytes, tls: ssl.SSLContext | None = None) -> str:
    """Send bytes, and hang up when the other end does or, having said nothing, at once; return from where."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    address: str = "{}:{}".format(*writer.get_extra_info("sockname"))
    writer.write(said)
    if said:
        with suppress(ConnectionResetError):
            await reader.read()
    writer.close()
    return address


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged of those turned away, without the peers' ports."""
    records = [record for record in caplog.records if hasattr(record, "peer")]
    assert all(record.getMessage().startswith(f"{record.peer} ") for record in records)  # type: ignore[attr-defined]
    assert all(record.peer.startswith("127.0.0.1:") for record in records)  # type: ignore[attr-defined]
    return [f"{record.levelname} {record.reason}: {record.getMessage().partition(' ')[2]}" for record in records]  # type: ignore[attr-defined]


async def test_an_endpoint_tells_whom_it_refuses_and_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    access: dict[str, Any] = {"tokens": (TOKEN,), "allow_origins": ("https://desk.example",), "max_clients": 1}
    async with serving_endpoint(**access) as endpoint:
        url, good = endpoint.url, f"?token={TOKEN}"
        await be_refused(url + "?token=guessed")
        await be_refused(url + good, origin=Origin("https://evil.example"))
        await be_refused(url.replace("/ws/", "/other/") + good)
        async with connect(url + good):
            await be_refused(url + good + "&speed=2")
        await say(endpoint.port, b"GET /ws/ HTTP/1.1\r\n\r\n")
        await until(lambda: endpoint.turned_away.total == 5)
        endpoint.admission.refuse(1 << 60)
        await be_refused(url + good)
        assert endpoint.turned_away.by_reason() == dict.fromkeys(
            ("token", "origin", "path", "full", "plain", "fault"), 1
        )
    assert told(caplog) == [
        "WARNING token: was refused with 401: the token was not accepted: it is not known",
        "WARNING origin: was refused with 403: pages of this origin may not connect",
        "WARNING path: was refused with 403: This endpoint is at /ws/",
        "WARNING full: was refused with 503: 1 clients are here already",
        "INFO plain: was refused with 404: Not Found",
        "INFO fault: was refused with 503: Service Unavailable",
    ]
    assert_untold(caplog, TOKEN, "guessed", "token=", "speed")


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (b"GET /ws/ HTTP/1.1\r\n", "WARNING late: was cut: its handshake took more than 0.2 s"),
        (b"nonsense\r\n\r\n", "WARNING invalid: was cut: its handshake is none"),
        (
            b"GET /ws/ HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            "WARNING invalid: was refused with 400: its handshake is none",
        ),
        (b"", "INFO gone: was gone before its handshake was done"),
    ],
)
async def test_an_endpoint_tells_whose_handshake_was_not_done(
    said: bytes, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with serving_endpoint(handshake_timeout_s=0.2 if line.startswith("WARNING late") else 60) as endpoint:
        await say(endpoint.port, said)
        await until(lambda: endpoint.turned_away.total == 1)
    assert told(caplog) == [line]


@pytest.mark.parametrize("said", [b"GET /ws/ HTTP/1.1\r\n", b"nonsense\r\n\r\n", b""], ids=["late", "invalid", "gone"])
async def test_who_comes_by_tls_is_told_of_by_address(
    said: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    certificate = make_certificate(tmp_path)
    tls = client_context(certificate.cert, None)
    limit_s = 0.5 if said.startswith(b"GET") else 60
    async with serving_endpoint(certificate=certificate, handshake_timeout_s=limit_s) as endpoint:
        address = await say(endpoint.port, said, tls)
        await until(lambda: endpoint.turned_away.total == 1)
    assert [record.peer for record in caplog.records if hasattr(record, "peer")] == [address]


async def test_who_is_cut_because_there_are_too_many_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async with serving_endpoint(max_clients=1) as endpoint:
        pairs = [await asyncio.open_connection("127.0.0.1", endpoint.port) for _ in range(17)]
        await until(lambda: endpoint.turned_away.total == 1)
        for _, writer in pairs[1:]:
            writer.close()
        await until(lambda: endpoint.turned_away.total == 17)
        assert endpoint.turned_away.counts == {Cause.CROWDED: 1, Cause.GONE: 16}
        pairs[0][1].close()
    assert "WARNING crowded: was cut: more than 16 were shaking hands, and it had been at it longest" in told(caplog)


async def test_nobody_is_turned_away_by_our_going(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with serving_endpoint() as endpoint:
        async with connect(endpoint.url):
            _, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
            writer.write(b"GET /ws/ HTTP/1.1\r\n")
            await endpoint.wait_for_clients(1)
        await until(lambda: not endpoint.clients and len([*endpoint._arrivals]) == 1)
    writer.close()
    assert endpoint.turned_away.total == 0
    assert told(caplog) == []


async def test_a_tap_tells_whom_it_refuses_and_whose_handshake_was_not_done(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def echo(websocket: ServerConnection) -> None:
        await websocket.wait_closed()

    def refuse(connection: ServerConnection, request: Any) -> Any:
        return connection.respond(418, "no\n") if "tea" in request.path else None

    access = Access(tokens=(TOKEN,), max_clients=1, handshake_timeout_s=60)
    async with serving(echo, process_request=refuse) as url, tapped(url, access=access) as (tap, _):
        await be_refused(tap.url + "?token=guessed")
        async with connect(f"{tap.url}?token={TOKEN}"):
            await be_refused(f"{tap.url}?token={TOKEN}")
        await until(lambda: not tap.connections)
        await be_refused(f"{tap.url}?tea=yes&token={TOKEN}")
        await say(tap.port, b"nonsense\r\n\r\n")
        await say(tap.port, b"")
        await until(lambda: tap.turned_away.total == 5 and not tap.connections)
        pairs = [await asyncio.open_connection("127.0.0.1", tap.port) for _ in range(17)]
        await until(lambda: tap.turned_away.total == 6)
    for _, writer in pairs:
        writer.close()
    assert told(caplog) == [
        "WARNING token: was refused with 401: the token was not accepted: it is not known",
        "WARNING full: was refused with 503: as many clients as may be are here already",
        "WARNING upstream: was refused by the server with HTTP 418: /ws/",
        "WARNING invalid: was refused with 400: this is no HTTP request",
        "INFO gone: was gone before its handshake was done",
        "WARNING crowded: was cut: more than 16 were shaking hands",
    ]
    assert_untold(caplog, TOKEN, "guessed", "token=", "tea")


async def test_a_tap_tells_who_was_too_slow(caplog: pytest.LogCaptureFixture) -> None:
    access = Access(handshake_timeout_s=0.05)
    async with tapped("ws://127.0.0.1:1/ws/", access=access) as (tap, _):
        await say(tap.port, b"GET /ws/ HTTP/1.1\r\n")
        await until(lambda: tap.turned_away.total == 1)
    assert told(caplog) == ["WARNING late: was cut: its handshake took too long"]


async def test_of_a_flood_five_are_told_singly_and_the_rest_together(caplog: pytest.LogCaptureFixture) -> None:
    turned_away = TurnedAway(LOG, window_s=600)
    for port in range(417):
        turned_away.note(Cause.TOKEN, ("127.0.0.1", port), "was refused with 401: a token is asked for")
    turned_away.note(Cause.FULL, ("127.0.0.1", 9), "was refused with 503: 1 clients are here already")
    assert len(caplog.records) == 6  # one cause does not hide another
    turned_away.close()
    assert [record.getMessage() for record in caplog.records[6:]] == [
        "and 412 more clients were turned away in the last 600 s: without a token that is good"
    ]
    assert turned_away.by_reason() == {"token": 417, "full": 1}


async def test_a_flood_that_has_ended_is_told_of_and_the_next_one_begins_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    turned_away = TurnedAway(LOG, window_s=0)
    for _ in range(2):
        for port in range(7):
            turned_away.note(Cause.FULL, ("127.0.0.1", port), "was refused")
        before = len(caplog.records)
        await until(lambda before=before: len(caplog.records) > before)  # type: ignore[misc]
    singly = ["127.0.0.1:0 was refused", "127.0.0.1:1 was refused", "127.0.0.1:2 was refused"]
    singly += ["127.0.0.1:3 was refused", "127.0.0.1:4 was refused"]
    assert [record.getMessage() for record in caplog.records] == [
        *singly, "and 2 more clients were turned away in the last 0 s: as many as may be were here",
    ] * 2  # fmt: skip


async def test_whom_the_endpoint_closes_for_breaking_a_rule_is_told_with_its_code(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    async with serving_endpoint(max_inbound_bytes=1000, inbound_per_s=5) as endpoint:
        async with connect(endpoint.url) as client:
            await client.send("x" * 1001)
            await client.wait_closed()
        await until(lambda: len(endpoint.departed) == 1)
        async with connect(endpoint.url) as client:
            with suppress(ConnectionClosed):
                for _ in range(1000):
                    await client.send("x")
            await client.wait_closed()
        await until(lambda: len(endpoint.departed) == 2)
        assert [stats.close_code for stats in endpoint.departed] == [1009, 1008]
    left = [record.getMessage().partition(" left ")[2] for record in caplog.records if " left (" in record.getMessage()]
    assert left == [
        "(1009, closed by us: frame exceeds limit of 1000 bytes)",
        "(1008, closed by us: too many messages)",
    ]


async def test_who_leaves_by_itself_or_is_sent_away_for_a_reason_already_told_has_its_code_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    async with serving_endpoint() as endpoint:
        async with connect(endpoint.url) as client:
            await client.close(1000, "bye")
        await until(lambda: len(endpoint.departed) == 1)
        async with connect(endpoint.url) as client:
            await endpoint.wait_for_clients(1)
            endpoint.dismiss(endpoint.clients, 1008, "expected 'a secret', found 'another'")
            await client.wait_closed()
        await until(lambda: len(endpoint.departed) == 2)
        assert [stats.close_code for stats in endpoint.departed] == [1000, 1008]
    left = [record.getMessage().partition(" left ")[2] for record in caplog.records if " left (" in record.getMessage()]
    assert left == ["(1000)", "(1008)"]
