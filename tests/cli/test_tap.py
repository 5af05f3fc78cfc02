"""``wsrec tap`` as its user has it: what it prints, and how it ends."""

from __future__ import annotations

import io
import json
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.cli.programs import wsrec
from tests.net.tapping import serving
from wsrecorder.cli.app import main
from wsrecorder.cli.tap_panel import TapPanel
from wsrecorder.core.distribution import Distribution
from wsrecorder.jobs.tap_options import TapClient, TapState


async def echo(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)


async def test_ctrl_c_closes_the_clients_seals_and_exits_0(tmp_path: Path) -> None:
    async with serving(echo) as url, wsrec("tap", url, "--port", "0", "--name", "t", "--json", cwd=tmp_path) as program:
        where = (await program.says(r"connect to (\S+) instead"))[1]
        async with connect(where) as client:
            for _ in range(10):
                await client.send('{"type": "HELLO"}')
                await client.recv()
            program.signal(signal.SIGINT)
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 1012
        code, out, errors = await program.ended()
    assert code == 0, errors
    facts = json.loads(out)
    assert (facts["messages_in"], facts["messages_out"], facts["connections"]) == (10, 10, 1)
    assert facts["types"] == {"HELLO": 20}
    assert facts["sealed"] is True
    assert facts["error"] is None
    assert 0 < facts["added_latency_ms"]["p50"] <= facts["added_latency_ms"]["max"]
    assert "connection 0: 127.0.0.1:" in errors


async def test_a_replay_of_one_connection_is_what_that_client_was_sent(tmp_path: Path) -> None:
    async def greet(websocket: ServerConnection) -> None:
        assert websocket.request is not None
        name = websocket.request.path[-1]
        await websocket.recv()
        for number in range(3):
            await websocket.send(f'{{"type": "{name}", "n": {number}}}')
        await websocket.close()

    async with serving(greet) as url, wsrec("tap", url, "--port", "0", "--quiet", "--json", cwd=tmp_path) as program:
        where = (await program.says(r"connect to (\S+) instead"))[1]
        for name in "AB":
            async with connect(f"{where}?{name}") as client:
                await client.send(f"I am {name}")
                await client.wait_closed()
        program.signal(signal.SIGTERM)
        code, _, errors = await program.ended()
    assert code == 0, errors
    sent = {}
    for filters in ((), ("--where", "conn = 1")):
        command = ("replay", "latest", "--port", "0", "--speed", "max", "--at-end", "close", "--verbatim", *filters)
        async with wsrec(*command, cwd=tmp_path) as program, connect(await program.url()) as client:
            sent[filters] = [json.loads(text)["type"] async for text in client]
            program.signal(signal.SIGINT)
    assert sent == {(): list("AAABBB"), ("--where", "conn = 1"): list("BBB")}


async def test_without_a_client_nothing_is_recorded(tmp_path: Path) -> None:
    async with wsrec("tap", "ws://127.0.0.1:1/", "--port", "0", "--duration", "100ms", cwd=tmp_path) as program:
        code, out, errors = await program.ended()
    assert (code, out) == (0, "")
    assert "no client came: nothing was recorded" in errors


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["http://localhost/"], "is not a WebSocket URL"),
        (["ws://localhost/", "--header", "nothing"], "is not a header"),
        (["ws://localhost/", "--max-frame", "2GiB"], "out of range"),
        (["ws://localhost/", "--into", "x.parquet"], "no name of a DuckDB session"),
        (["ws://localhost/", "--port", "99999"], "99999"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tap", *arguments]) == 2
    assert error in capsys.readouterr().err


def test_the_panel_shows_each_client_and_what_waits_for_it() -> None:
    state = TapState(
        url="ws://127.0.0.1:8001/ws/",
        clients=[TapClient(number, f"127.0.0.1:{number}", "/ws/", 1_000, 5, number << 20) for number in range(10)],
        clients_served=12,
        refused={"upstream": 1},
        messages_in=10_000,
        messages_out=50,
        size_bytes=1 << 20,
        disk_bytes=1 << 18,
        added=Distribution([12_000, 40_000]),
        gaps=0,
        types={"SIGNAL": 7},
        path=Path("recordings/x"),
    )
    panel = TapPanel()
    output = io.StringIO()
    console = Console(file=output, width=120)
    console.print(panel.render(1))
    panel.watch(SimpleNamespace(state=state, shown_upstream="ws://server/ws/"))  # type: ignore[arg-type]
    console.print(panel.render(1))
    shown = output.getvalue()
    for words in (
        "starting",
        "ws://127.0.0.1:8001/ws/ → ws://server/ws/",
        "10 open of 12, 1 refused",
        "10,000 in, 50 out",
        "latency p50 0.012 ms",
        "127.0.0.1:1 /ws/  1,000 in, 5 out, 1.0 MiB waiting",
        "and 2 more",
    ):
        assert words in shown
