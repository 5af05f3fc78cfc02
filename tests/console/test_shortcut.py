from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.replays import message, session
from wsrecorder.clock import SystemClock, VirtualClock
from wsrecorder.console.app import Application
from wsrecorder.console.scene import Scene
from wsrecorder.errors import UsageError
from wsrecorder.jobs.replay import Replay
from wsrecorder.jobs.replay_options import ReplayOptions

SECOND_NS = 1_000_000_000

GOOD = [
    ("pause", b"{}"),
    ("pause", b'\n{ "playback" : "shared" }\t'),
    ("pause", b'{"playback": null}'),
    ("pause", '{"playback": "shared"}'.encode("utf-16")),
    ("pause", b'{"playback": "nobody", "playback": "shared"}'),
    ("resume", b"{}"),
    ("restart", b"{}"),
    ("speed", b'{"speed": 2.5}'),
    ("speed", b'{"speed": 2}'),
    ("speed", b'{"speed": 1e-3}'),
    ("speed", b'{"speed": "max"}'),
    ("seek", b'{"ns": 200000000000}'),
    ("seek", b'{"to": "90s"}'),
    ("seek", b'{"by": "-20s"}'),
    ("seek", b'{"seq": 7}'),
    ("seek", b'{"match": "seq % 60 = 0"}'),
    ("step", b"{}"),
    ("step", b'{"events": 3}'),
    ("step", b'{"events": -2}'),
    ("burst", b'{"events": 5}'),
    ("loop", b'{"from_ns": 0, "to_ns": 5000000000}'),
    ("loop", b'{"off": true}'),
]
WRONG = [
    ("pause", b'{"playback": "nobody"}'),  # these can be read, and are refused by what they lead to
    ("speed", b'{"speed": 1e-400}'),
    ("seek", b'{"ns": 1, "seq": 1}'),
    ("seek", b'{"to": "soon"}'),
    ("seek", b'{"seq": 1000}'),
    ("seek", b'{"match": "nonsense"}'),
    ("seek", b'{"note": "nowhere"}'),
    ("step", b'{"events": 0}'),
    ("loop", b'{"from_ns": 5}'),
    *(("speed", body) for body in (b"", b"[]", b"null", b"{", b'"x"', b"\xff", b"[" * 5_000, b"\xef\xbb\xbf{}")),
    *(("speed", b'{"speed": %s}' % value) for value in (b"0", b"-1", b'"fast"', b"NaN", b"Infinity", b"true", b"[1]")),
    ("speed", b'{"speed": 1, "colour": 1}'),
    ("speed", b"{'speed': 1}"),
    ("speed", b'{"speed": 1} {"speed": 2}'),
    ("pause", b'{"playback": 7}'),
    ("pause", b'{"playback": "\\ud800"}'),
    ("seek", b'{"ns": 1.5}'),
    ("seek", b'{"ns": 1' + b"0" * 5_000 + b"}"),
    ("seek", b'{"ns": 9223372036854775808}'),
    ("step", b'{"events": "1"}'),
    ("step", b'{"events": 10001}'),
    ("burst", b"{}"),
]

App = Callable[[Any, Any, Any], Awaitable[None]]


async def ask(app: App, method: str, path: str, body: bytes = b"") -> tuple[int, dict[bytes, bytes], Any]:
    """Ask as the server would, and return status, headers and body, without what passes with the time."""
    asked = [{"type": "http.request", "body": body, "more_body": False}]
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return asked.pop()

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    headers = [(b"content-type", b"application/json"), (b"host", b"localhost")]
    scope = {
        "type": "http", "method": method, "path": path, "query_string": b"", "headers": headers, "http_version": "1.1",
    }  # fmt: skip
    await app(scope, receive, send)
    found = json.loads(b"".join(message.get("body", b"") for message in said) or b"{}")
    for state in (found, *found.get("playbacks", ())):
        state.pop("achieved_speed", None)
        state.pop("lateness_ms", None)
        state.pop("primed", None)  # the playback tells clients how things stand when its turn comes
        if state.get("status") == "playing":
            state.pop("position_ns")
    return said[0]["status"], {k: v for k, v in said[0]["headers"] if k != b"content-length"}, found


@asynccontextmanager
async def application(tmp_path: Path, *, is_played: bool = True) -> AsyncIterator[Application]:
    """Make what answers, for a replay that stands at 500 s."""
    stores = [session(tmp_path, [message(10.0 * n) for n in range(100)])]
    async with Replay(stores, ReplayOptions(port=0, wait_for=0), SystemClock()) as replay:
        found = Application(Scene(stores, replay=replay if is_played else None, library=None, clock=VirtualClock()))
        replay.playback(None).pause()
        await ask(found.app, "POST", "/api/seek", b'{"ns": 500000000000}')
        yield found
        found.close()


async def long_way(*_: Any) -> None:
    raise AssertionError("this was to be answered without the application")


@pytest.mark.parametrize(("verb", "body"), GOOD)
async def test_both_ways_a_control_is_answered_alike(verb: str, body: bytes, tmp_path: Path) -> None:
    async with application(tmp_path / "long") as made:
        expected = await ask(made.app, "POST", f"/api/{verb}", body)
    async with application(tmp_path / "short") as made:
        made.entry._app = long_way
        found = await ask(made.entry, "POST", f"/api/{verb}", body)
    assert found == expected
    assert found[0] == 200


@pytest.mark.parametrize(("verb", "body"), WRONG)
async def test_both_ways_a_control_is_refused_alike(verb: str, body: bytes, tmp_path: Path) -> None:
    async with application(tmp_path) as made:
        expected = await ask(made.app, "POST", f"/api/{verb}", body)
        found = await ask(made.entry, "POST", f"/api/{verb}", body)
    assert found == expected
    assert found[0] == 400


async def test_both_ways_the_state_is_the_same(tmp_path: Path) -> None:
    async with application(tmp_path) as made:
        expected = await ask(made.app, "GET", "/api/state")
        made.entry._app = long_way
        found = await ask(made.entry, "GET", "/api/state")
    assert found == expected
    assert found[2]["playbacks"][0]["name"] == "shared"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/pause"), ("POST", "/api/state"), ("PUT", "/api/pause"), ("POST", "/api/pause/"), ("POST", "/api/x")],
)
async def test_what_it_does_not_know_goes_the_long_way(method: str, path: str, tmp_path: Path) -> None:
    async with application(tmp_path) as made:
        found = await ask(made.entry, method, path, b"{}")
        assert found == await ask(made.app, method, path, b"{}")
        assert found[0] in (307, 404, 405)


async def test_where_nothing_is_played_both_ways_refuse(tmp_path: Path) -> None:
    async with application(tmp_path, is_played=False) as made:
        for path in made.entry.paths:
            body = {"/api/speed": b'{"speed": 1}', "/api/burst": b'{"events": 1}'}.get(path, b"{}")
            found = await ask(made.entry, "POST", path, body)
            assert found == await ask(made.app, "POST", path, body)
            assert found[0] == 409


async def test_every_control_that_is_described_has_the_short_way(tmp_path: Path) -> None:
    async with application(tmp_path) as made:
        described = made.app.openapi()["paths"]
        assert made.entry.paths == {
            path for path, of in described.items() if "controls" in of.get("post", {}).get("tags", ())
        }


async def test_a_mistake_of_our_own_is_told_of_and_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with application(tmp_path) as made:
        noted: list[Exception] = []
        monkeypatch.setattr(made.entry, "_on_mishap", noted.append)

        async def fails() -> Any:
            raise ZeroDivisionError

        async def refuses() -> Any:
            raise UsageError("no", hint="never")

        made.entry.question("/fails", fails)
        made.entry.question("/refuses", refuses)
        assert (await ask(made.entry, "GET", "/refuses"))[0] == 400
        assert noted == []
        with pytest.raises(ZeroDivisionError):  # the guard logs it
            await ask(made.entry, "GET", "/fails")
        assert [type(exc) for exc in noted] == [ZeroDivisionError]
