from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.console.asked import Asker, console_of, following
from tests.jobs.replays import message, session
from wsrecorder.clock import SystemClock
from wsrecorder.console.options import ConsoleOptions
from wsrecorder.console.scene import Scene
from wsrecorder.console.server import Console
from wsrecorder.errors import EndpointError


def stores(tmp_path: Path) -> list[Any]:
    return [session(tmp_path, [message(0.1 * n) for n in range(10)])]


async def test_it_serves_the_page_and_what_it_is_made_of(tmp_path: Path) -> None:
    async with console_of(stores(tmp_path)) as asker:
        page = await asker.get("/")
        assert page.headers["content-type"].startswith("text/html")
        assert b"<title>wsrec</title>" in page.body
        assert (await asker.get("/static/app.js")).headers["content-type"].startswith("text/javascript")
        assert len((await asker.get("/plotly.min.js")).body) > 1_000_000


async def test_the_interface_is_described_without_a_network(tmp_path: Path) -> None:
    async with console_of(stores(tmp_path)) as asker:
        assert b"/docs/start.js" in (await asker.get("/docs")).body
        for part in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js"):
            assert (await asker.get(f"/docs/{part}")).status == 200
        described = (await asker.get("/openapi.json")).json
    assert described["openapi"].startswith("3.0.")
    assert "/api/state" in described["paths"]
    assert not [path for path in described["paths"] if not path.startswith("/api/")]


async def test_a_taken_port_is_an_error_that_names_the_option(tmp_path: Path) -> None:
    found = stores(tmp_path)
    async with console_of(found) as asker:
        with pytest.raises(EndpointError, match=f"port {asker.port} on 127.0.0.1 is in use") as refused:
            async with console_of(found, port=asker.port):
                raise AssertionError
    assert "--console-port" in refused.value.hint


async def test_a_free_port_is_taken_where_it_does_not_matter(tmp_path: Path) -> None:
    found = stores(tmp_path)
    async with console_of(found) as first, console_of(found, port=first.port, is_port_free_to_choose=True) as second:
        assert second.console.is_elsewhere
        assert second.port != first.port
        assert (await second.get("/api/state")).status == 200


async def test_an_address_that_is_not_ours_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EndpointError) as refused:
        async with console_of(stores(tmp_path), host="203.0.113.1"):
            raise AssertionError
    assert "--console-host" in refused.value.hint


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("127.0.0.1", "127.0.0.1")])
async def test_where_it_says_it_is_can_be_opened(host: str, shown: str, tmp_path: Path) -> None:
    try:
        async with console_of(stores(tmp_path), host=host, token="a-token-of-tests") as asker:
            assert asker.console.url == f"http://{shown}:{asker.port}"
            assert (await asker.get("/", token="a-token-of-tests")).status == 303
    except EndpointError:
        if host != "::":
            raise
        pytest.skip("no IPv6 on this machine")


async def test_the_port_is_free_again_afterwards(tmp_path: Path) -> None:
    found = stores(tmp_path)
    async with console_of(found) as asker:
        await asker.get("/api/state")
    async with console_of(found, port=asker.port) as again:
        assert (await again.get("/api/state")).status == 200


async def test_a_console_that_nobody_asks_loads_nothing_and_ends(tmp_path: Path) -> None:
    before = set(sys.modules)
    async with console_of(stores(tmp_path)):
        await asyncio.sleep(0)
    assert not {name for name in set(sys.modules) - before if name.partition(".")[0] in ("fastapi", "uvicorn")}


async def test_who_follows_is_let_go_at_the_end(tmp_path: Path) -> None:
    async with console_of(stores(tmp_path)) as asker, following(asker) as follower:
        await follower.next()
        ending = asyncio.create_task(follower.ended())
        await asker.console.__aexit__(None, None, None)
        assert await ending


async def test_one_that_sends_half_a_request_does_not_hold_it_up(tmp_path: Path) -> None:
    async with console_of(stores(tmp_path)) as asker:
        _, writer = await asyncio.open_connection(asker.host, asker.port)
        writer.write(b"GET / HT")
        assert (await asker.get("/api/state")).status == 200
    writer.close()


async def test_it_listens_on_ipv6(tmp_path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 on this machine")
    try:
        async with console_of(stores(tmp_path), host="::1") as asker:
            assert asker.console.url == f"http://[::1]:{asker.port}"
            assert (await asker.get("/api/state")).status == 200
    except EndpointError:
        pytest.skip("no IPv6 on this machine")


async def test_the_first_address_brings_the_token_along(tmp_path: Path) -> None:
    async with console_of(stores(tmp_path), token="a-token-of-tests") as asker:
        assert asker.console.entry_url == f"{asker.console.url}/?token=a-token-of-tests"
        assert (await asker.get(asker.console.entry_url.removeprefix(asker.console.url))).status == 303


async def test_a_mistake_of_ours_is_answered_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with console_of(stores(tmp_path)) as asker:
        assert (await asker.get("/api/state")).status == 200
        monkeypatch.setattr("wsrecorder.console.looking.measure_latency", lambda session: 1 / 0)
        reply = await asker.get("/api/latency")
        assert reply.status == 500
        assert set(reply.json) == {"message", "hint"}
        assert (await asker.get("/api/state")).status == 200
    assert "GET /api/latency failed" in caplog.text


async def test_unknown_paths_and_methods_say_so(tmp_path: Path) -> None:
    async with console_of(stores(tmp_path)) as asker:
        missing = await asker.get("/api/nothing")
        wrong = await asker.ask("DELETE", "/api/state")
        bad = await asker.get("/api/events", rows="many")
    assert (missing.status, missing.json["message"]) == (404, "there is nothing at /api/nothing")
    assert (wrong.status, wrong.json["message"]) == (405, "DELETE is not for /api/state")
    assert bad.status == 400
    assert bad.json["message"].startswith("rows: ")


def test_it_needs_no_loop_to_be_made(tmp_path: Path) -> None:
    scene = Scene(stores(tmp_path), replay=None, library=None, clock=SystemClock())
    assert Console(scene, ConsoleOptions(port=0)).url == ""
    assert Asker is not None
