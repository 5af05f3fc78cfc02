from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.console.asked import Asker, console_of
from tests.jobs.replays import message, session
from wsrecorder.console.options import ConsoleOptions
from wsrecorder.net.hosts import Hosts

TOKEN = "a-token-of-tests"


def stores(tmp_path: Path) -> list[Any]:
    return [session(tmp_path, [message(0.1 * n) for n in range(10)])]


def host_of(asker: Asker) -> str:
    return f"{asker.host}:{asker.port}"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LocalHost", "[::1]"])
async def test_our_own_names_are_answered(name: str, tmp_path: Path) -> None:
    async with console_of(stores(tmp_path)) as asker:
        assert (await asker.get("/api/state", {"Host": f"{name}:{asker.port}"})).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example:{port}", "127.0.0.1.evil.example:{port}", "localhost", "127.0.0.1:1", "localhost:{port}:80", "",
     "x@localhost:{port}", "localhost:{port}, evil.example", "192.168.0.7:{port}", "localhost:" + "9" * 5_000],
)  # fmt: skip
async def test_a_foreign_host_is_refused(host: str, tmp_path: Path) -> None:
    async with console_of(stores(tmp_path)) as asker:
        for path in ("/", "/api/state", "/static/app.js", "/docs", "/api/stream"):
            reply = await asker.get(path, {"Host": host.format(port=asker.port)})
            assert reply.status == 403
            assert set(reply.json) == {"message", "hint"}


async def test_only_our_own_page_may_ask(tmp_path: Path) -> None:
    async with console_of(stores(tmp_path)) as asker:
        for origin in ("http://evil.example", "null", f"https://{host_of(asker)}", "http://localhost:1", "file://"):
            assert (await asker.get("/api/state", {"Origin": origin})).status == 403
            assert (await asker.post("/api/notes", {"text": "x"}, {"Origin": origin})).status == 403
        assert (await asker.get("/api/state", {"Origin": f"http://{host_of(asker)}"})).status == 200
        assert (await asker.get("/api/state", {"Origin": f"http://localhost:{asker.port}"})).status == 200


async def test_a_browser_that_says_who_asks_is_believed(tmp_path: Path) -> None:
    async with console_of(stores(tmp_path)) as asker:
        for where in ("cross-site", "same-site"):
            headers = {"Sec-Fetch-Site": where}
            assert (await asker.get("/api/export", headers)).status == 403
            assert (await asker.post("/api/notes", {"text": "x"}, headers)).status == 403
            assert (await asker.get("/", headers)).status == 200, "a link from elsewhere may lead here"
        assert (await asker.get("/api/state", {"Sec-Fetch-Site": "same-origin"})).status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_what_changes_something_must_come_as_json(kind: str, tmp_path: Path) -> None:
    async with console_of(stores(tmp_path)) as asker:
        reply = await asker.ask("POST", "/api/notes", b'{"text": "x"}', {"Content-Type": kind})
        assert reply.status == 415
        assert (await asker.get("/api/notes")).json == {"notes": []}


async def test_a_body_has_a_limit(tmp_path: Path) -> None:
    async with console_of(stores(tmp_path)) as asker:
        assert (await asker.post("/api/notes", {"text": "x" * 70_000})).status == 413


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"GET /", b"x" * 1_000),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", b"x" * 1_000),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"x: " + b"x" * 995 + b"\r\n"),
    ],
)
async def test_a_head_has_a_limit(begin: bytes, piece: bytes, tmp_path: Path) -> None:
    async with console_of(stores(tmp_path)) as asker:
        await asker.get("/api/state")  # what answers is loaded now
        reader, writer = await asyncio.open_connection(asker.host, asker.port)
        writer.write(begin)
        for _ in range(1_000):  # far more than any buffer between us takes
            if reader.at_eof() or writer.is_closing():
                break
            writer.write(piece)
            try:
                await writer.drain()
            except ConnectionError:
                break
        with suppress(ConnectionError):  # it may have closed while more was on its way
            async with asyncio.timeout(30):
                assert (await reader.read()).startswith(b"HTTP/1.1 400")
        writer.close()
        assert (await asker.get("/api/state")).status == 200


async def test_without_the_token_nothing_is_shown(tmp_path: Path) -> None:
    async with console_of(stores(tmp_path), token=TOKEN) as asker:
        for path in ("/", "/api/state", "/api/stream", "/static/app.js", "/docs", "/openapi.json", "/plotly.min.js"):
            assert (await asker.get(path)).status == 401
        assert (await asker.post("/api/notes", {"text": "x"})).status == 401
        assert (await asker.get("/api/state", {"Authorization": "Bearer wrong"})).status == 401
        assert (await asker.get("/api/state", {"Authorization": f"Basic {TOKEN}"})).status == 401
        assert (await asker.get("/api/state", {"Cookie": f"wsrec_token_{asker.port}=wrong"})).status == 401
        assert (await asker.get("/api/state", token=TOKEN)).status == 401, "only the page takes it from the address"
        assert (await asker.get("/", token="wrong")).status == 401


async def test_the_token_is_taken_from_header_and_cookie(tmp_path: Path) -> None:
    async with console_of(stores(tmp_path), token=TOKEN) as asker:
        assert (await asker.get("/api/state", {"Authorization": f"Bearer {TOKEN}"})).status == 200
        assert (await asker.get("/api/state", {"Cookie": f"other=1; wsrec_token_{asker.port}={TOKEN}"})).status == 200


async def test_the_page_sets_a_cookie_that_scripts_and_other_sites_do_not_have(tmp_path: Path) -> None:
    async with console_of(stores(tmp_path), token=TOKEN) as asker:
        reply = await asker.get("/", token=TOKEN)
    assert (reply.status, reply.headers["location"]) == (303, "/")
    cookie = reply.headers["set-cookie"]
    assert cookie.startswith(f"wsrec_token_{asker.port}={TOKEN};")
    assert {"HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))


def test_beyond_loopback_a_token_is_made() -> None:
    made = ConsoleOptions(host="0.0.0.0").required_token()
    assert made is not None
    assert len(made) >= 32
    assert ConsoleOptions(host="0.0.0.0").required_token() != made
    assert ConsoleOptions(host="192.168.1.7", token=TOKEN).required_token() == TOKEN
    for host in ("127.0.0.1", "localhost", "::1", "127.1.2.3"):
        assert ConsoleOptions(host=host).required_token() is None


def test_on_all_addresses_any_address_is_ours_and_no_foreign_name() -> None:
    hosts = Hosts.of("0.0.0.0", 8001, ["box", "box.local"])
    assert all(
        map(hosts.include, ("192.168.1.7:8001", "[fe80::1]:8001", "box:8001", "Box.Local:8001", "localhost:8001"))
    )
    assert not any(map(hosts.include, ("evil.example:8001", "192.168.1.7:80", "192.168.1.7", "box", "0x7f.1:8001")))
    assert not Hosts.of("127.0.0.1", 8001, ["box"]).include("box:8001")


def test_the_port_of_http_may_be_left_out() -> None:
    assert Hosts.of("127.0.0.1", 80).include("localhost")
    assert Hosts.of("::1", 80).include("[::1]")


@pytest.mark.parametrize(
    "path", ["/", "/api/state", "/static/app.js", "/docs", "/nothing", "/openapi.json", "/api/export"]
)
async def test_every_answer_says_what_a_browser_may_do_with_it(path: str, tmp_path: Path) -> None:
    async with console_of(stores(tmp_path)) as asker:
        headers = (await asker.get(path)).headers
        refused = (await asker.get(path, {"Host": "evil.example"})).headers
    for found in (headers, refused):
        policy = dict(part.partition(" ")[::2] for part in found["content-security-policy"].split("; "))
        assert policy["default-src"] == "'self'"
        assert "script-src" not in policy
        assert policy["object-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert found["x-content-type-options"] == "nosniff"
        assert found["referrer-policy"] == "no-referrer"
        assert found["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_no_script_is_inline_and_nothing_comes_from_elsewhere(path: str, tmp_path: Path) -> None:
    async with console_of(stores(tmp_path)) as asker:
        page = (await asker.get(path)).body.decode()
    assert "<script>" not in page
    assert "://" not in page


@pytest.mark.parametrize(
    "path",
    ["/static/../server.py", "/static/%2e%2e/server.py", "/static/..%2fserver.py", "/static//etc/passwd",
     "/static/%2fetc%2fpasswd",
     "/static/....//server.py", "/docs/..%2f__init__.py", "/docs/../../__init__.py", "/static/..%5cserver.py",
     "/static/%00"],
)  # fmt: skip
async def test_no_path_leads_out_of_what_is_served(path: str, tmp_path: Path) -> None:
    async with console_of(stores(tmp_path)) as asker:
        reply = await asker.get(path)
    assert reply.status == 404
    assert set(reply.json) == {"message", "hint"}


@pytest.mark.parametrize(
    "expression",
    ["(select count(*) from read_csv('/etc/passwd')) > 0", "seq in (select 1 from read_text('/etc/passwd'))",
     "1); copy (select 1) to '/tmp/wsrec-bitten'; --", "getenv('HOME') = '/root'", "text = read_blob('/etc/passwd')",
     "1=1; attach '/tmp/wsrec-bitten.db'", "query('select 1') = 1"],
)  # fmt: skip
async def test_an_expression_reads_no_file_and_writes_none(expression: str, tmp_path: Path) -> None:
    async with console_of(stores(tmp_path)) as asker:
        for path in ("/api/events", "/api/export"):
            reply = await asker.get(path, where=expression)
            assert reply.status == 400, reply.body
            assert "root:" not in json.dumps(reply.json)
    assert not [name for name in os.listdir("/tmp") if name.startswith("wsrec-bitten")]  # noqa: PTH208
