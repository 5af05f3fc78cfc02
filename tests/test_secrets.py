"""Secrets in every place at once: none is in any file, in anything printed, or in what is served."""

from __future__ import annotations

import asyncio
import io
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidStatus
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tests.cli.programs import Program, wsrec
from tests.net.test_probes import ask
from tests.numbered_feed import NumberedFeed
from tests.test_killed import wait_for_session
from wsrecorder.analysis.session import open_session
from wsrecorder.cli import main
from wsrecorder.core.event import Direction
from wsrecorder.errors import SessionError

SECRETS = {
    place: f"hunter2-{place}-9f8e7d6c"
    for place in ("user", "query", "queryenv", "headerenv", "headerfile", "subprotocol", "sent", "come", "clientquery")
}
SENT = json.dumps({"type": "LOGIN", "auth": {"key": SECRETS["sent"]}})
COME = json.dumps({"type": "ACCOUNT", "data": [{"key": SECRETS["come"]}]})
NO_JSON = f'42["account", {{"key": "{SECRETS["come"]}"}}]'


def strings_of(path: Path) -> Iterator[bytes]:
    """All that a reader of a session can be told, uncompressed."""
    session = open_session(path)
    yield repr(session.store.manifest()).encode()
    yield repr(session.info).encode()
    for event in session.events():
        yield repr(event).encode()


def places_of(folder: Path, *said: str) -> list[tuple[str, str]]:
    """Where secrets are, in the files below a folder, in the sessions in it, and in what was said."""
    assert said
    found = []
    texts = {f"said {index}": text.encode() for index, text in enumerate(said)}
    for path in folder.rglob("*"):
        if path.is_file():
            texts[path.relative_to(folder).as_posix()] = path.name.encode() + path.read_bytes()
        if (path / "session.json").is_file() or path.suffix == ".duckdb":
            for index, text in enumerate(strings_of(path)):
                texts[f"{path.name}: {index}"] = text
    for name, text in texts.items():
        found += [(name, place) for place, secret in SECRETS.items() if secret.encode() in text]
    return found


def chosen(connection: ServerConnection, offered: list[Subprotocol]) -> Subprotocol:
    return offered[-1]


def ran(*arguments: str | Path) -> str:
    """Run a command here, and return all that it printed."""
    out = io.TextIOWrapper(io.BytesIO(), write_through=True)
    with redirect_stdout(out), redirect_stderr(out):
        main([*map(str, arguments)])
    assert isinstance(out.buffer, io.BytesIO)
    return out.buffer.getvalue().decode()


async def metrics_url(program: Program) -> str:
    return (await program.says(r"metrics at (http://\S+)/metrics"))[1]


async def metrics_of(url: str) -> str:
    """What is served, once frames have been counted."""
    async with asyncio.timeout(30):
        while True:
            _, _, page = await asyncio.to_thread(ask, url, "/metrics")
            if re.search(r"^wsrec_frames_total\{.*\} [1-9]", page, re.M):
                return page + "".join([(await asyncio.to_thread(ask, url, "/readyz"))[2]])
            await asyncio.sleep(0.02)


def environment(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    for place in ("queryenv", "headerenv", "subprotocol"):
        monkeypatch.setenv(place.upper(), SECRETS[place])
    monkeypatch.setenv("LOGIN", SENT)
    file = folder / "kept-elsewhere"
    file.write_text(SECRETS["headerfile"])
    file.chmod(0o600)
    return file


@pytest.mark.parametrize("transport", ["websockets", "picows"])
@pytest.mark.parametrize("form", ["parquet", "duckdb"])
async def test_a_recording_holds_and_shows_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str, form: str
) -> None:
    if transport == "picows":
        pytest.importorskip("picows")
    file = environment(monkeypatch, tmp_path)
    folder = tmp_path / "here"
    folder.mkdir()
    asked: list[str] = []

    async def feed(connection: ServerConnection) -> None:
        assert connection.request is not None
        asked.append(repr((connection.request.path, list(connection.request.headers.raw_items()))))
        asked.append(str(await connection.recv()))
        for payload in (COME, NO_JSON, COME.encode()):
            await connection.send(payload)
        await connection.wait_closed()

    async with serve(feed, "127.0.0.1", 0, select_subprotocol=chosen) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"ws://me:{SECRETS['user']}@127.0.0.1:{port}/ws/?token={SECRETS['query']}&depth=5"
        arguments = [
            "record", url, "--query-env", "u=QUERYENV", "--header-env", "X-Innocent=HEADERENV",
            "--header-file", f"X-Api-Key={file}", "--subprotocol", "v1", "--subprotocol-env", "SUBPROTOCOL",
            "--send-env", "LOGIN", "--redact", "auth.key", "--redact", "data.key", "--transport", transport,
            *(["--into", "x.duckdb"] if form == "duckdb" else []),
        ]  # fmt: skip
        async with wsrec(*arguments, "--json", "--log-format", "json", "--metrics", "0", cwd=folder) as program:
            page = await metrics_of(await metrics_url(program))
            server.connections.copy().pop().transport.abort()  # it is lost, which is logged
            await program.says("reconnecting")
            program.signal(signal.SIGINT)
            code, out, errors = await program.ended()
        assert code == 0, errors
        for place, secret in SECRETS.items():
            sent_as = "bWU6" if place == "user" else secret  # user and password go as Basic
            if place not in ("come", "clientquery"):
                assert any(sent_as in told for told in asked), place  # all of it went out
    async with wsrec(*arguments, "--json", cwd=folder) as program:  # nobody is there any more
        code, refused_out, refused = await program.ended()
    assert code == 3, refused
    facts = json.loads(out)
    assert facts["redacted"] == {"auth.key": 1, "data.key": 2, "(no JSON)": 1}
    path = folder / facts["path"]
    shown = [ran(*words, path) for words in (["info"], ["info", "--json"], ["cat"], ["verify"])]
    assert places_of(folder, out, errors, page, refused_out, refused, *shown) == []
    assert "depth=5" in facts["feed"]
    events = [event for event in open_session(path).events() if event.payload]
    assert [event.direction for event in events] == [Direction.OUT, Direction.IN, Direction.IN, Direction.IN]
    assert json.loads(events[0].payload or b"")["auth"]["key"].startswith("redacted-")


async def test_a_tap_holds_and_shows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = environment(monkeypatch, tmp_path)
    folder = tmp_path / "here"
    folder.mkdir()
    asked: list[str] = []

    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        asked.append(repr((request.path, list(request.headers.raw_items()))))
        return connection.respond(403, "no") if "refuse" in request.path else None

    async def server(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(server, "127.0.0.1", 0, process_request=refuse, select_subprotocol=chosen) as listening:
        port = listening.sockets[0].getsockname()[1]
        upstream = f"ws://me:{SECRETS['user']}@127.0.0.1:{port}/ws/?token={SECRETS['query']}"
        arguments = [
            "tap", upstream, "--port", "0", "--header-env", "X-Innocent=HEADERENV",
            "--header-file", f"X-Api-Key={file}", "--redact", "auth.key", "--redact", "data.key",
        ]  # fmt: skip
        async with wsrec(*arguments, "--json", "--metrics", "0", cwd=folder) as program:
            metrics = await metrics_url(program)
            await program.says("connect to")
            here = re.search(r"connect to (ws://[^/ ]+)", program.lines[-1])
            assert here is not None
            mine = f"{here[1]}/ws/?listenKey={SECRETS['clientquery']}"
            offered = [Subprotocol("bearer"), Subprotocol(SECRETS["subprotocol"])]
            with pytest.raises(InvalidStatus):
                await connect(f"{mine}&refuse=1")
            async with connect(mine, subprotocols=offered) as client:
                for payload in (SENT, COME, NO_JSON):
                    await client.send(payload)
                    assert await client.recv() == payload  # what goes by is not changed
                page = await metrics_of(metrics)
            program.signal(signal.SIGINT)
            code, out, errors = await program.ended()
    assert code == 0, errors
    assert "listenKey=***" in errors
    for place in ("headerenv", "headerfile", "subprotocol", "clientquery"):
        assert any(SECRETS[place] in told for told in asked), place
    assert json.loads(out)["redacted"] == {"auth.key": 2, "data.key": 2, "(no JSON)": 2}
    assert places_of(folder, out, errors, page) == []


@pytest.mark.parametrize("form", ["parquet", "duckdb"])
def test_a_killed_recorder_leaves_no_secret(tmp_path: Path, form: str) -> None:
    project = Path(__file__).parents[1]
    into = ["--into", str(tmp_path / "n.duckdb")] if form == "duckdb" else ["--rotate", "50KB"]
    payloads = [COME.replace("ACCOUNT", f"T{number}").encode() for number in range(20_000)]
    with NumberedFeed(first=payloads, pause_s=0.01) as feed:
        command = [sys.executable, "-m", "wsrecorder", "record", feed.url, "--library", str(tmp_path), "--quiet",
                   "--redact", "data.key", *into]  # fmt: skip
        recorder = subprocess.Popen(command, cwd=project, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            path = wait_for_session(tmp_path, recorder, more_than=8_000)
        finally:
            recorder.kill()
            recorder.communicate()
    assert places_of(tmp_path, "") == []
    assert sum(b"redacted-" in text for text in strings_of(path)) > 5_000
    assert "redacted" in repr(open_session(path).store.manifest().identity)
    ran("recover", path)
    assert places_of(tmp_path, "") == []


def test_this_test_would_find_a_secret(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(f"x{SECRETS['user']}x")
    assert places_of(tmp_path, SECRETS["query"]) == [("said 0", "query"), ("file", "user")]
    with pytest.raises(SessionError):
        open_session(tmp_path)
