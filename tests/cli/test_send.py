"""``wsrec send`` as its user has it: exit codes, what it prints, and wsrec talking to wsrec."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from tests.cli.programs import wsrec
from tests.jobs.dialogues import dialogue
from tests.net.tapping import serving, until
from wsrecorder.cli.app import main

CHAT = (("<", 0, "welcome"), (">", 1, "hello"), ("<", 2, "hi"), (">", 3, "bye"), ("<", 3, "so long"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    dialogue(tmp_path / "recordings", *CHAT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_wsrec_says_to_wsrec_what_was_recorded_and_all_is_equal(folder: Path) -> None:
    serve = ("replay", "latest", "--port", "0", "--speed", "max", "--two-way", "strict", "--match", "exact")
    async with wsrec(*serve, cwd=folder) as server:
        url = await server.url()
        async with wsrec("send", "latest", url, "--match", "exact", "--json", cwd=folder) as client:
            code, out, errors = await client.ended()
        assert code == 0, errors
        facts = json.loads(out)
        assert facts["equal"] is True
        assert facts["connections"][0]["counts"]["same"] == 3
        server.signal(signal.SIGINT)
        assert (await server.ended())[0] == 0


async def test_what_differs_is_shown_and_it_exits_1(folder: Path) -> None:
    async def another(websocket: ServerConnection) -> None:
        for kind, word in (("welcome", "welcome"), ("hi", "hullo")):
            await websocket.send(json.dumps({"type": kind, "say": word}))
            await websocket.recv()
        await websocket.wait_closed()

    async with (
        serving(another) as url,
        wsrec("send", "latest", url, "--timeout", "200ms", "--quiet", cwd=folder) as client,
    ):
        code, out, _ = await client.ended()
    assert code == 1
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "0 2 0 3 2 1 1 1 0 0" in lines
    assert 'changed 0 2 hi say: "hi" → "hullo"' in lines
    assert any(line.startswith("missing 0 4 so") for line in lines)


async def test_a_connection_that_breaks_is_a_feed_error(folder: Path) -> None:
    async def cutting(websocket: ServerConnection) -> None:
        websocket.transport.abort()

    async with serving(cutting) as url, wsrec("send", "latest", url, cwd=folder) as client:
        code, _, errors = await client.ended()
    assert code == 3
    assert "connection 0 was closed by the server with 1006" in errors


async def test_ctrl_c_ends_it(folder: Path) -> None:
    async def silent(websocket: ServerConnection) -> None:
        joined.append(websocket)
        await websocket.wait_closed()

    joined: list[ServerConnection] = []
    async with serving(silent) as url, wsrec("send", "latest", url, cwd=folder) as client:
        await until(lambda: bool(joined))
        client.signal(signal.SIGINT)
        code, _, errors = await client.ended()
    assert code == 1
    assert "stopped before all was said" in errors


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("latest", "ws://127.0.0.1:1/"), 3, "cannot be reached"),
        (("latest", "http://127.0.0.1:1/"), 2, "is not a WebSocket URL"),
        (("nobody", "ws://127.0.0.1:1/"), 4, "nobody"),
        (("latest", "ws://127.0.0.1:1/", "--conn", "5"), 4, "said nothing on connection 5"),
        (("latest", "ws://127.0.0.1:1/", "--match", "1 +"), 2, "syntax error"),
    ],
)
def test_what_cannot_be_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, says: str
) -> None:
    assert main(["send", *arguments]) == code
    assert says in capsys.readouterr().err
