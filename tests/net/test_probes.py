"""The small HTTP server for metrics and health answers whatever the event loop does."""

from __future__ import annotations

import asyncio
import socket
import threading
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from wsrecorder.errors import EndpointError
from wsrecorder.net import probes as probes_module
from wsrecorder.net.probes import Finding, Probes


def ask(url: str, path: str, method: str = "GET") -> tuple[int, str, str]:
    """Return status, content type and body of an answer."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()
    finally:
        connection.close()


def allowed(url: str, path: str, method: str) -> str | None:
    """Return the methods that an answer names."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        connection.request(method, path)
        return connection.getresponse().headers["Allow"]
    finally:
        connection.close()


async def test_answers_are_made_on_the_event_loop() -> None:
    made_on: list[str] = []

    def answer() -> Finding:
        made_on.append(threading.current_thread().name)
        return Finding(b"no\n", 503, "text/odd")

    async with Probes("127.0.0.1", 0, {"/a": answer}) as probes:
        assert await asyncio.to_thread(ask, probes.url, "/a?x=1") == (503, "text/odd", "no\n")
        assert await asyncio.to_thread(ask, probes.url, "/a", "HEAD") == (503, "text/odd", "")
        status, _, said = await asyncio.to_thread(ask, probes.url, "/b")
        assert (status, said) == (404, "there is GET /a\n")
    assert made_on == [threading.main_thread().name] * 2


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "X"])
async def test_another_method_is_refused_in_words_that_say_what_there_is(method: str) -> None:
    text = "text/plain; charset=utf-8"
    async with Probes(
        "127.0.0.1", 0, {"/a": lambda: Finding(b"ok\n")}, {"/act": lambda said: Finding(b"ok\n")}
    ) as probes:
        found = await asyncio.to_thread(ask, probes.url, "/a?x=1", method)
        assert found == (405, text, f"/a takes GET, not {method}\n")
        found = await asyncio.to_thread(ask, probes.url, "/b", method)
        assert found == (404, text, "there is GET /a, POST /act\n")
        if method != "POST":
            found = await asyncio.to_thread(ask, probes.url, "/act", method)
            assert found == (405, text, f"/act takes POST, not {method}\n")
        assert await asyncio.to_thread(allowed, probes.url, "/a", method) == "GET, HEAD"


async def test_what_is_no_request_is_refused_in_words() -> None:
    async with Probes("127.0.0.1", 0, {"/a": lambda: Finding(b"ok\n")}) as probes:
        reader, writer = await asyncio.open_connection(*urlsplit(probes.url).netloc.split(":"))
        writer.write(b"GET /a HTTP/nine\r\n\r\n")
        answer = (await reader.read()).decode()
        writer.close()
    assert " 400 " in answer.splitlines()[0]
    assert "Content-Type: text/plain" in answer
    assert "<" not in answer


async def test_a_loop_that_is_held_up_is_an_answer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes_module, "_PATIENCE_S", 0.05)
    async with Probes("127.0.0.1", 0, {"/a": lambda: Finding(b"ok\n")}) as probes:
        found: list[tuple[int, str, str]] = []
        asking = threading.Thread(target=lambda: found.append(ask(probes.url, "/a")))
        asking.start()
        asking.join()  # on the event loop, which so does not turn
    assert found[0][0] == 503
    assert "event loop has not turned" in found[0][2]


async def test_our_own_mistake_is_logged_and_told_without_its_content(caplog: pytest.LogCaptureFixture) -> None:
    def answer() -> Finding:
        raise ZeroDivisionError("secret")

    async with Probes("127.0.0.1", 0, {"/a": answer}) as probes:
        status, _, said = await asyncio.to_thread(ask, probes.url, "/a")
    assert status == 500
    assert "secret" not in said
    assert "/a cannot be answered" in caplog.text


async def test_who_connects_and_says_nothing_keeps_nobody_waiting() -> None:
    async with Probes("127.0.0.1", 0, {"/a": lambda: Finding(b"ok\n")}) as probes:
        where = urlsplit(probes.url)
        assert where.hostname is not None
        with socket.create_connection((where.hostname, where.port or 0)):
            assert (await asyncio.to_thread(ask, probes.url, "/a"))[0] == 200


async def test_a_port_in_use_names_the_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EndpointError, match="in use") as caught:
            async with Probes("127.0.0.1", port, {}):
                pass
    assert "--metrics" in caught.value.hint


async def test_it_serves_over_ipv6() -> None:
    try:
        async with Probes("::1", 0, {"/a": lambda: Finding(b"ok\n")}) as probes:
            assert (await asyncio.to_thread(ask, probes.url, "/a"))[2] == "ok\n"
    except EndpointError:
        pytest.skip("this machine has no IPv6 loopback")


async def test_actions_are_for_programs_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def act(body: str) -> Finding:
        said.append(body)
        return Finding(b"done\n", 202)

    def post(url: str, path: str, body: str, headers: dict[str, str]) -> tuple[int, str]:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=20)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    async with Probes("127.0.0.1", 0, {"/a": lambda: Finding(b"ok\n")}, {"/act": act}) as probes:

        async def asked(path: str = "/act", body: str = "x ", **headers: str) -> int:
            return (await asyncio.to_thread(post, probes.url, path, body, headers))[0]

        assert await asked() == 202
        assert await asked(body="") == 202
        assert await asked(path="/a") == 405
        assert await asked(Origin="http://127.0.0.1") == 403
        assert await asked(Origin="null") == 403
        assert await asked(Referer="http://127.0.0.1/") == 403
        assert await asked(Referer="") == 403
        assert await asked(**{"Sec-Fetch-Site": "same-origin"}) == 403
        port = urlsplit(probes.url).port
        assert await asked(Host=f"localhost:{port}") == 202
        assert await asked(Host=f"[::1]:{port}") == 202
        for foreign in (f"evil.example:{port}", "127.0.0.1", f"127.0.0.1.evil.example:{port}", ""):
            assert await asked(Host=foreign) == 403, "a name that was made to point here"
        assert await asked(body="x" * 1_001) == 413
        assert await asked(**{"Content-Length": "-1"}) == 413
        assert (await asyncio.to_thread(ask, probes.url, "/act"))[0] == 405
        monkeypatch.setattr(probes_module, "_is_near", lambda address: False)
        assert await asked() == 403, "from another machine"
    assert said == ["x", "", "x", "x"]
