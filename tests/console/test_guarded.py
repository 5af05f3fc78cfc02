"""A console beside a guarded endpoint: the same tokens, pages and certificate are good for both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.console.asked import Asker, Reply, console_of
from tests.jobs.replays import message, session
from wsrecorder.clock import SystemClock
from wsrecorder.console.beside import ReplayWithConsole
from wsrecorder.console.options import ConsoleOptions
from wsrecorder.jobs.replay_options import ReplayOptions
from wsrecorder.net.access import Access
from wsrecorder.net.jwt_keys import JwtRules, hmac_key

OWN = "the-console-s-own"
TOKEN = "one-of-the-endpoint-s"
SECRET = b"0123456789abcdef0123456789abcdef"
DESK = "https://desk.example.com"
PATHS = ("/", "/api/state", "/api/stream", "/api/events", "/static/app.js", "/docs", "/openapi.json", "/plotly.min.js")


def stores(tmp_path: Path) -> list[Any]:
    return [session(tmp_path, [message(0.1 * n) for n in range(10)])]


def signed(hours: float = 1.0, secret: bytes = SECRET, **claims: Any) -> str:
    return jwt.encode({"exp": datetime.now(UTC) + timedelta(hours=hours), **claims}, secret, "HS256")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def cookie(asker: Asker, token: str) -> dict[str, str]:
    return {"Cookie": f"wsrec_token_{asker.port}={token}"}


async def test_a_console_beside_an_endpoint_with_tokens_asks_for_one(tmp_path: Path) -> None:
    access = Access(tokens=("another-token", TOKEN))
    async with console_of(stores(tmp_path), access=access) as asker:
        for path in PATHS:
            refused = await asker.get(path)
            assert refused.status == 401
            assert refused.json["message"] == "a token is asked for"
            assert "Authorization: Bearer TOKEN" in refused.json["hint"]
            assert refused.headers["www-authenticate"].startswith("Bearer")
        assert (await asker.post("/api/notes", {"text": "x"})).status == 401
        wrong = await asker.get("/api/state", bearer("guessed-wrongly"))
        assert (wrong.status, wrong.json["message"]) == (401, "the token was not accepted: it is not known")
        assert (await asker.get("/api/state", bearer(TOKEN))).status == 200
        assert (await asker.post("/api/notes", {"text": "x"}, bearer("another-token"))).status == 200
        assert (await asker.get("/api/state", cookie(asker, TOKEN))).status == 200


async def test_the_address_that_is_said_brings_a_token_of_its_own(tmp_path: Path) -> None:
    async with console_of(stores(tmp_path), access=Access(tokens=(TOKEN,))) as asker:
        made = asker.console.token
        assert made is not None
        assert made != TOKEN, "what is said gets into logs"
        assert asker.console.entry_url.endswith(f"/?token={made}")
        assert (await asker.get("/api/state", bearer(made))).status == 200


async def test_a_token_given_to_the_console_is_good_beside_those_of_the_endpoint(tmp_path: Path) -> None:
    async with console_of(stores(tmp_path), token=OWN, access=Access(tokens=(TOKEN,))) as asker:
        assert asker.console.token == OWN
        assert (await asker.get("/api/state")).status == 401
        assert (await asker.get("/api/state", bearer(OWN))).status == 200
        assert (await asker.get("/api/state", bearer(TOKEN))).status == 200


async def test_json_web_tokens_of_the_endpoint_are_good_for_its_console(tmp_path: Path) -> None:
    access = Access(jwt=JwtRules([hmac_key(SECRET)], audience="desk"))
    async with console_of(stores(tmp_path), access=access) as asker:

        async def answer(token: str) -> Reply:
            return await asker.get("/api/state", bearer(token))

        assert (await asker.get("/api/state")).status == 401
        assert (await answer(signed(aud="desk"))).status == 200
        for token, why in (
            (signed(-1, aud="desk"), "it has expired"),
            (signed(aud="other"), "it is for another audience"),
            (signed(aud="desk", secret=SECRET + b"x"), "its signature is wrong"),
            ("no-token-at-all", "it is no JSON Web Token"),
        ):
            refused = await answer(token)
            assert (refused.status, refused.json["message"]) == (401, f"the token was not accepted: {why}")
            assert token not in refused.body.decode()


async def test_a_json_web_token_in_the_address_becomes_a_cookie(tmp_path: Path) -> None:
    token = signed()
    async with console_of(stores(tmp_path), access=Access(jwt=JwtRules([hmac_key(SECRET)]))) as asker:
        reply = await asker.get("/", token=token)
        assert (reply.status, reply.headers["location"]) == (303, "/")
        assert reply.headers["set-cookie"].startswith(f"wsrec_token_{asker.port}={token};")
        assert (await asker.get("/", cookie(asker, token))).status == 200
        assert (await asker.get("/", token=signed(-1))).status == 401


@pytest.mark.parametrize("token", ["a-token\r\nx-bent: 1", "a-token; Domain=evil.example", "a token"])
async def test_what_would_bend_the_answer_does_not_become_a_cookie(token: str, tmp_path: Path) -> None:
    async with console_of(stores(tmp_path), access=Access(tokens=(TOKEN, token))) as asker:
        refused = await asker.get("/", token=token)
        assert refused.status == 401
        reply = await asker.get("/", bearer(TOKEN), token=token)
        assert reply.status == 200
        assert not {"set-cookie", "x-bent"} & set(reply.headers)


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        (DESK, DESK),
        ("https://*.example.com", DESK),
        ("http://localhost:*", "http://localhost:3000"),
    ],
)
async def test_a_page_that_may_connect_to_the_endpoint_may_use_its_console(
    pattern: str, origin: str, tmp_path: Path
) -> None:
    headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
    async with console_of(stores(tmp_path), access=Access(allow_origins=(pattern,))) as asker:
        for reply in (
            await asker.get("/api/state", headers),
            await asker.post("/api/notes", {"text": "x"}, headers),
        ):
            assert reply.status == 200
            assert reply.headers["access-control-allow-origin"] == origin
            assert "access-control-allow-credentials" not in reply.headers
        asked = await asker.ask("OPTIONS", "/api/notes", headers=headers)
        assert (asked.status, asked.headers["access-control-allow-origin"]) == (204, origin)
        assert "content-type" in asked.headers["access-control-allow-headers"]


async def test_no_other_page_may_use_a_console_beside_an_endpoint_with_origins(tmp_path: Path) -> None:
    async with console_of(stores(tmp_path), access=Access(allow_origins=(DESK,))) as asker:
        for origin in ("https://evil.example", "http://desk.example.com", "null", f"{DESK}.evil.example"):
            headers = {"Origin": origin}
            for refused in (
                await asker.get("/api/state", headers),
                await asker.post("/api/notes", {"text": "x"}, headers),
                await asker.ask("OPTIONS", "/api/notes", headers=headers),
            ):
                assert refused.status == 403
                assert "access-control-allow-origin" not in refused.headers
        assert (await asker.get("/api/state", {"Origin": asker.console.url})).status == 200, "our own page"
        assert (await asker.get("/api/state")).status == 200, "a program"
        # An image or a form says no Origin, and where it comes from.
        assert (await asker.get("/api/export", {"Sec-Fetch-Site": "cross-site"})).status == 403
        assert (await asker.get("/api/state", {"Origin": DESK, "Host": "evil.example"})).status == 403


@pytest.mark.parametrize("pattern", ["*", "null"])
async def test_a_pattern_that_any_page_fits_counts_only_where_a_token_is_asked_for(
    pattern: str, tmp_path: Path
) -> None:
    headers = {"Origin": "null"}
    shown = stores(tmp_path)
    async with console_of(shown, access=Access(allow_origins=(pattern,))) as asker:
        assert (await asker.get("/api/state", headers)).status == 403
    async with console_of(shown, access=Access(allow_origins=(pattern,), tokens=(TOKEN,))) as asker:
        assert (await asker.get("/api/state", headers)).status == 401
        assert (await asker.get("/api/state", headers | bearer(TOKEN))).status == 200


async def test_another_page_brings_its_token_itself_and_no_cookie_of_ours(tmp_path: Path) -> None:
    access = Access(allow_origins=(DESK,), tokens=(TOKEN,))
    async with console_of(stores(tmp_path), access=access) as asker:
        assert (await asker.ask("OPTIONS", "/api/state", headers={"Origin": DESK})).status == 204, "it asks whether"
        refused = await asker.get("/api/state", {"Origin": DESK} | cookie(asker, TOKEN))
        assert refused.status == 401
        assert refused.headers["access-control-allow-origin"] == DESK, "the page can read why"
        assert (await asker.get("/api/state", {"Origin": DESK} | bearer(TOKEN))).status == 200


async def test_each_console_of_a_machine_has_a_cookie_of_its_own(tmp_path: Path) -> None:
    async with (
        console_of(stores(tmp_path / "a"), token=OWN) as one,
        console_of(stores(tmp_path / "b"), token=TOKEN) as other,
    ):
        both = {"Cookie": "; ".join(cookie(asker, token)["Cookie"] for asker, token in ((one, OWN), (other, TOKEN)))}
        assert (await one.get("/api/state", both)).status == 200
        assert (await other.get("/api/state", both)).status == 200


async def test_a_replay_with_a_console_guards_it_as_it_guards_its_endpoint(tmp_path: Path) -> None:
    options = ReplayOptions(port=0, wait_for=0, access=Access(tokens=(TOKEN,)))
    running = ReplayWithConsole(
        stores(tmp_path), options, SystemClock(), console=ConsoleOptions(port=0), library=tmp_path
    )
    async with running:
        assert running._console is not None
        asker = Asker(running._console)
        assert (await asker.get("/api/state")).status == 401
        assert (await asker.get("/api/state", bearer(TOKEN))).status == 200


def test_a_token_is_made_where_the_endpoint_asks_for_one() -> None:
    rules = JwtRules([hmac_key(SECRET)])
    for access in (Access(tokens=(TOKEN,)), Access(jwt=rules)):
        assert ConsoleOptions(access=access).required_token() not in (None, TOKEN)
        assert ConsoleOptions(access=access, token=OWN).required_token() == OWN
    assert ConsoleOptions(access=Access(allow_origins=(DESK,))).required_token() is None


def test_a_console_beyond_this_machine_without_encryption_is_warned_of() -> None:
    from wsrecorder.net.tls import Certificate

    certified = Access(certificate=Certificate(Path("cert.pem"), Path("key.pem")))
    for host in ("127.0.0.1", "localhost", "::1"):
        assert ConsoleOptions(host=host).warnings() == []
    for host in ("0.0.0.0", "192.168.1.7"):
        [warning] = ConsoleOptions(host=host).warnings()
        assert f"go to {host} unencrypted: see --cert and --key" in warning
        assert ConsoleOptions(host=host, access=certified).warnings() == []
