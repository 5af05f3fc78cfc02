"""Who gets in, over real sockets: origins, tokens, JSON Web Tokens, TLS, limits."""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from tests.certificates import make_certificate
from tests.net.tapping import serving, tapped
from wsrecorder.clock import SystemClock
from wsrecorder.errors import UsageError
from wsrecorder.net import auth
from wsrecorder.net.access import Access
from wsrecorder.net.auth import Gate, Refusal
from wsrecorder.net.endpoint import Endpoint
from wsrecorder.net.endpoint_options import EndpointOptions
from wsrecorder.net.http_head import HttpHead
from wsrecorder.net.jwt_keys import JwtRules, hmac_key, public_keys
from wsrecorder.net.origins import Origins
from wsrecorder.net.tap_connection import TapConnection
from wsrecorder.net.tls import Certificate

TOKEN = "correct-horse-battery"
SECRET = b"0123456789abcdef0123456789abcdef"


def an_endpoint(**access: Any) -> Endpoint:
    clock = SystemClock()
    options = EndpointOptions(port=0, close_timeout_s=0.5, access=Access(**access))
    return Endpoint(options, now_ns=clock.now_ns, wall_ns=clock.wall_ns)


async def status(url: str, **options: Any) -> int:
    """Return with which status a handshake is answered."""
    try:
        async with connect(url, **options):
            return 101
    except InvalidStatus as exc:
        return exc.response.status_code


# Origins


@pytest.mark.parametrize(
    ("pattern", "origin", "expected"),
    [
        ("https://desk.example.com", "https://desk.example.com", True),
        ("https://desk.example.com", "https://DESK.example.com", True),
        ("https://desk.example.com", "http://desk.example.com", False),
        ("https://desk.example.com", "https://desk.example.com:8443", False),
        ("https://desk.example.com", "https://desk.example.com.evil.net", False),
        ("https://desk.example.com", "https://deskXexample.com", False),
        ("https://desk.example.com:443", "https://desk.example.com", True),
        ("https://*.example.com", "https://desk.example.com", True),
        ("https://*.example.com", "https://a.b.example.com", True),
        ("https://*.example.com", "https://example.com", False),
        ("https://*.example.com", "https://evilexample.com", False),
        ("https://*.example.com", "https://evil.net/.example.com", False),
        ("https://*.example.com", "https://evil.net#.example.com", False),
        ("https://*.example.com", "https://desk.example.com\n", False),
        ("http://localhost:*", "http://localhost:3000", True),
        ("http://localhost:*", "http://localhost", True),
        ("http://localhost:*", "http://localhost:3000@evil.net", False),
        ("*", "https://anything.net", True),
        ("null", "null", True),
        ("https://*.example.com", "null", False),
    ],
)
def test_an_origin_is_let_in_only_by_its_pattern(pattern: str, origin: str, expected: bool) -> None:
    assert Origins([pattern]).include(origin) is expected


@pytest.mark.parametrize(
    "pattern", ["", "desk.example.com", "https://*", "https://a*.com", "https://a.com/x", "https://*.*.b"]
)
def test_what_is_no_origin_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match="no origin"):
        Origins([pattern])


async def test_a_foreign_page_gets_403_and_a_program_without_a_page_gets_in() -> None:
    async with an_endpoint(allow_origins=("https://*.example.com",)) as endpoint:
        assert await status(endpoint.url, origin=Origin("https://desk.example.com")) == 101
        assert await status(endpoint.url, origin=Origin("https://evil.net")) == 403
        assert await status(endpoint.url) == 101
        two = [("Origin", "https://desk.example.com"), ("Origin", "https://evil.net")]
        assert await status(endpoint.url, additional_headers=two) == 403


# Tokens


async def test_a_token_is_taken_from_header_subprotocol_and_query() -> None:
    async with an_endpoint(tokens=("another-token", TOKEN)) as endpoint:
        assert await status(endpoint.url) == 401
        assert await status(endpoint.url + "?token=wrong") == 401
        assert await status(endpoint.url, additional_headers={"Authorization": "Bearer wrong"}) == 401
        assert await status(endpoint.url, additional_headers={"Authorization": f"Basic {TOKEN}"}) == 401
        assert await status(endpoint.url + f"?token={TOKEN}") == 101
        assert await status(endpoint.url, additional_headers={"Authorization": f"bearer {TOKEN}"}) == 101
        assert endpoint.admission.gate.refused == 4
        async with connect(endpoint.url, subprotocols=[Subprotocol("bearer"), Subprotocol(TOKEN)]) as client:
            assert client.subprotocol == "bearer"


async def test_a_refusal_says_why_and_not_the_token() -> None:
    async with an_endpoint(tokens=(TOKEN,)) as endpoint:
        with pytest.raises(InvalidStatus) as caught:
            await connect(endpoint.url + "?token=guessed-wrongly")
        response = caught.value.response
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert b"not known" in response.body
        assert b"guessed" not in response.body
        assert TOKEN.encode() not in response.body


async def test_a_token_is_in_no_log_and_no_statistics(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with an_endpoint(tokens=(TOKEN,)) as endpoint, connect(f"{endpoint.url}?speed=2&token={TOKEN}&x=1"):
        await endpoint.wait_for_clients(1)
        assert endpoint.clients[0].query == "speed=2&x=1"
        assert TOKEN not in repr(endpoint.stats()) + repr(endpoint.options)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("wsrecorder")]
    assert ours
    assert TOKEN not in "".join(ours)


def test_every_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(given: bytes, known: bytes) -> bool:
        compared.append(known)
        return given == known

    monkeypatch.setattr(auth.hmac, "compare_digest", compare)
    gate = Gate(Access(tokens=(TOKEN, "another-token")))
    request = HttpHead("GET / HTTP/1.1", (("Authorization", f"Bearer {TOKEN}"),))
    assert not isinstance(gate.judge(request, "/"), Refusal)
    assert compared == [TOKEN.encode(), b"another-token"]  # also those after the one that fits


# JSON Web Tokens


@pytest.fixture(scope="module")
def private() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def pem(private: rsa.RSAPrivateKey) -> bytes:
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return private.public_key().public_bytes(serialization.Encoding.PEM, kind)


def claims(**more: Any) -> dict[str, Any]:
    return {"exp": datetime.now(UTC) + timedelta(hours=1), **more}


def test_hs256_and_rs256_tokens_are_taken(private: rsa.RSAPrivateKey, pem: bytes) -> None:
    rules = JwtRules([hmac_key(SECRET), *public_keys(pem)])
    assert rules.refusal_of(jwt.encode(claims(), SECRET, "HS256")) is None
    assert rules.refusal_of(jwt.encode(claims(), private, "RS256")) is None
    assert rules.refusal_of(jwt.encode(claims(), SECRET + b"x", "HS256")) == "its signature is wrong"


def test_a_jwks_is_asked_by_key_id(private: rsa.RSAPrivateKey) -> None:
    entry = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key()))
    rules = JwtRules(public_keys(json.dumps({"keys": [entry | {"kid": "a", "use": "sig"}]}).encode()))
    assert rules.refusal_of(jwt.encode(claims(), private, "RS256", headers={"kid": "a"})) is None
    assert rules.refusal_of(jwt.encode(claims(), private, "RS256", headers={"kid": "b"})) is not None


def test_a_token_without_signature_is_refused(pem: bytes) -> None:
    token = jwt.encode(claims(), None, "none")
    assert JwtRules([hmac_key(SECRET), *public_keys(pem)]).refusal_of(token) is not None


def test_a_public_key_is_no_secret_of_an_hmac(pem: bytes) -> None:
    """The classic: who knows the public key signs by HS256 with it."""
    import base64
    import hashlib
    import hmac

    def part(content: bytes) -> bytes:
        return base64.urlsafe_b64encode(content).rstrip(b"=")

    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps({"exp": 4_000_000_000}).encode())
    token = signed + b"." + part(hmac.digest(pem, signed, hashlib.sha256))
    assert JwtRules(public_keys(pem)).refusal_of(token.decode()) is not None
    assert JwtRules([hmac_key(SECRET), *public_keys(pem)]).refusal_of(token.decode()) is not None
    with pytest.raises(UsageError, match="PEM"):
        hmac_key(pem)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"exp": 1}, "expired"),
        ({}, "lacks a claim"),
        ({"exp": 4_000_000_000, "nbf": 3_900_000_000}, "not valid yet"),
        ({"exp": 4_000_000_000, "aud": "other", "iss": "us"}, "another audience"),
        ({"exp": 4_000_000_000, "aud": "desk", "iss": "other"}, "another issuer"),
        ({"exp": 4_000_000_000, "aud": "desk", "iss": "us"}, None),
    ],
)
def test_times_audience_and_issuer_count(content: dict[str, Any], reason: str | None) -> None:
    named = JwtRules([hmac_key(SECRET)], "desk", "us") if "aud" in content else JwtRules([hmac_key(SECRET)])
    found = named.refusal_of(jwt.encode(content, SECRET, "HS256"))
    assert found is None if reason is None else reason in str(found)


def test_a_private_key_and_a_short_secret_are_refused(private: rsa.RSAPrivateKey) -> None:
    kind, bare = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    for content in (private.private_bytes(serialization.Encoding.PEM, kind, bare), b"rubbish", b'{"keys": []}', b"{"):
        with pytest.raises(UsageError):
            public_keys(content)
    with pytest.raises(UsageError, match="too short"):
        hmac_key(b"short")


def test_a_short_rsa_key_is_refused() -> None:
    short = rsa.generate_private_key(65537, 1024).public_key()
    entry = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(short))
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = short.public_bytes(serialization.Encoding.PEM, kind)
    for content in (pem, json.dumps({"keys": [entry]}).encode()):
        with pytest.raises(UsageError, match=r"^k\.pem holds an RSA key of 1024 bits, and RS256 takes 2048 or more"):
            public_keys(content, "k.pem")


async def test_a_json_web_token_opens_an_endpoint() -> None:
    async with an_endpoint(jwt=JwtRules([hmac_key(SECRET)])) as endpoint:
        assert await status(endpoint.url + "?token=" + jwt.encode(claims(), SECRET, "HS256")) == 101
        assert await status(endpoint.url + "?token=" + jwt.encode({"exp": 1}, SECRET, "HS256")) == 401
        assert await status(endpoint.url + "?token=é") == 401


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


async def test_an_endpoint_serves_over_tls(certificate: Certificate) -> None:
    async with an_endpoint(certificate=certificate) as endpoint:
        assert endpoint.url.startswith("wss://")
        assert await status(endpoint.url, ssl=ssl.create_default_context(cafile=certificate.cert)) == 101
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(endpoint.url)


async def test_a_tap_serves_and_calls_over_tls(certificate: Certificate) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    options = {"access": Access(certificate=certificate), "authorities": certificate.cert}
    async with serving(echo, ssl=context) as url, tapped(url.replace("ws:", "wss:"), **options) as (tap, _):
        assert await status(tap.url, ssl=ssl.create_default_context(cafile=certificate.cert)) == 101


def test_what_is_no_certificate_is_refused(tmp_path: Path, certificate: Certificate) -> None:
    (tmp_path / "key.pem").write_text("nothing")
    for wrong in (Certificate(certificate.cert, tmp_path / "key.pem"), Certificate(tmp_path / "none", certificate.key)):
        with pytest.raises(UsageError):
            wrong.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))


# The tap


async def echo(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)


async def test_a_tap_keeps_its_tokens_from_the_server_and_the_recording() -> None:
    seen: list[str] = []

    async def look(websocket: ServerConnection) -> None:
        assert websocket.request is not None
        seen.append(f"{websocket.request.path} {websocket.request.headers!r}")
        await websocket.send("first")
        await echo(websocket)

    async with serving(look) as url, tapped(url, access=Access(tokens=(TOKEN,))) as (tap, heard):
        assert await status(tap.url) == 401
        assert await status(tap.url + f"?a=1&token={TOKEN}") == 101
        assert await status(tap.url, additional_headers={"Authorization": f"Bearer {TOKEN}"}) == 101
        async with connect(tap.url, subprotocols=[Subprotocol("bearer"), Subprotocol(TOKEN)]) as client:
            assert client.subprotocol == "bearer"
            assert await client.recv() == "first"
            await client.send("x")
            assert await client.recv() == "x"
        assert seen[0].startswith("/ws/?a=1 ")
        assert len(seen) == 3
        assert TOKEN not in "".join(seen)
        assert TOKEN not in repr(heard.opened)


async def test_a_tap_refuses_foreign_pages_and_one_client_too_many() -> None:
    access = Access(allow_origins=("https://desk.example.com",), max_clients=1)
    async with serving(echo) as url, tapped(url, access=access) as (tap, _):
        assert await status(tap.url, origin=Origin("https://evil.net")) == 403
        async with connect(tap.url):
            assert await status(tap.url) == 503


# Limits


async def test_one_client_too_many_gets_503_until_another_has_gone() -> None:
    async with an_endpoint(max_clients=1) as endpoint:
        async with connect(endpoint.url):
            assert await status(endpoint.url) == 503
        async with asyncio.timeout(30):
            while await status(endpoint.url) == 503:
                pass


Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def idle(port: int, count: int) -> AsyncIterator[list[Pair]]:
    """Connect and begin no handshake."""
    pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    yield pairs
    for _, writer in pairs:
        writer.close()


async def are_cut(pairs: list[Pair]) -> bool:
    """Return when these were cut."""
    async with asyncio.timeout(30):
        for reader, _ in pairs:
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
    return True


def are_here(pairs: list[Pair]) -> bool:
    return not any(reader.at_eof() or reader.exception() for reader, _ in pairs)


async def test_of_too_many_handshakes_the_oldest_is_cut_and_who_means_it_gets_in() -> None:
    async with an_endpoint(max_clients=20) as endpoint, idle(endpoint.port, 25) as pairs:
        assert await are_cut(pairs[:5])
        for _ in range(3):
            assert await status(endpoint.url) == 101
        assert await are_cut(pairs[5:6])
        assert are_here(pairs[6:])


async def test_without_a_limit_on_clients_no_handshake_is_cut() -> None:
    async with an_endpoint() as endpoint, idle(endpoint.port, 25) as pairs:
        assert await status(endpoint.url) == 101
        assert are_here(pairs)


async def test_of_too_many_handshakes_at_a_tap_the_oldest_is_cut() -> None:
    access = Access(max_clients=1)
    async with serving(echo) as url, tapped(url, access=access) as (tap, _), idle(tap.port, 20) as pairs:
        assert await are_cut(pairs[:4])
        assert await status(tap.url) == 101
        assert await are_cut(pairs[4:5])
        assert are_here(pairs[5:])


async def fail_at_tls(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    with suppress(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_who_fails_at_tls_is_forgotten(tmp_path: Path) -> None:
    gc.collect()
    before = sum(isinstance(entry, ServerConnection | TapConnection) for entry in gc.get_objects())
    certificate = make_certificate(tmp_path)
    access = Access(certificate=certificate)
    async with an_endpoint(certificate=certificate) as endpoint, serving(echo) as url:
        # The tap's end would wait for those that it does not forget.
        async with asyncio.timeout(30), tapped(url, access=access) as (tap, _):
            for _ in range(5):
                await fail_at_tls(endpoint.port)
                await fail_at_tls(tap.port)
        gc.collect()
        assert sum(isinstance(entry, ServerConnection | TapConnection) for entry in gc.get_objects()) <= before


async def test_a_message_too_large_and_too_many_messages_close_the_client() -> None:
    async with an_endpoint(max_inbound_bytes=1000, inbound_per_s=5) as endpoint:
        async with connect(endpoint.url) as client, connect(endpoint.url) as other:
            await client.send("x" * 1001)
            await client.wait_closed()
            assert client.close_code == 1009
            for _ in range(5):
                await other.send("x")
            assert other.close_code is None
        async with connect(endpoint.url) as client:
            with suppress(ConnectionClosed):
                for _ in range(1000):
                    await client.send("x")
            await client.wait_closed()
            assert client.close_code == 1008


async def test_who_does_not_finish_its_handshake_is_cut() -> None:
    async with an_endpoint(handshake_timeout_s=0.05) as endpoint:
        reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
        writer.write(b"GET /ws/ HTTP/1.1\r\n")
        async with asyncio.timeout(30):
            await reader.read()
        writer.close()


def test_only_addresses_beyond_this_machine_are_warned_of() -> None:
    assert Access().warnings("127.0.0.1") == Access().warnings("localhost") == Access().warnings("::1") == []
    assert "no token" in Access().warnings("0.0.0.0")[0]
    assert "unencrypted" in Access(tokens=(TOKEN,)).warnings("0.0.0.0")[0]
