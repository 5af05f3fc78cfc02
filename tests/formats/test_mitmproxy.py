"""Flow files, by mitmproxy's own program; without it the tests that need it are skipped."""

from __future__ import annotations

import asyncio
import io
import os
import re
import shutil
import signal
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

import wsrecorder
from tests.formats.traffic import (
    BINARY_FRAMES,
    FEED,
    TEXT_FRAMES,
    read,
    traffic,
    written,
)
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.errors import SessionError, UsageError
from wsrecorder.formats.lines import Lines
from wsrecorder.formats.mitmproxy import MITMDUMP, FlowReader, is_flow_file, write_flows
from wsrecorder.jobs.convert import ImportOptions, import_file

PROJECT = Path(__file__).parents[2]
FRAMES = st.one_of(TEXT_FRAMES, BINARY_FRAMES)
STEP_OF_A_FLOAT_NS = 240


DROP = """def websocket_message(flow):
    if flow.websocket.messages[-1].content == b"drop me":
        flow.websocket.messages[-1].drop()
"""


@pytest.fixture(scope="module")
def mitmdump() -> str:
    own = PROJECT / ".venv-mitmproxy/bin/mitmdump"
    found = os.environ.get(MITMDUMP) or shutil.which("mitmdump") or (str(own) if own.exists() else None)
    if found is None:
        pytest.skip("there is no mitmdump: make mitmproxy")
    return found


@pytest.fixture
def with_mitmdump(mitmdump: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(MITMDUMP, mitmdump)
    return mitmdump


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)
    await connection.wait_closed()


@asynccontextmanager
async def proxy(mitmdump: str, server: str, file: Path) -> AsyncIterator[str]:
    """mitmproxy before a server, which saves what goes through it but for "drop me"; yields its address."""
    script = file.with_name("drop.py")
    script.write_text(DROP)
    process = await asyncio.create_subprocess_exec(
        mitmdump, "--scripts", str(script),
        "--mode", f"reverse:http://{server}", "--listen-host", "127.0.0.1", "--listen-port", "0",
        "--save-stream-file", str(file), "--set", f"confdir={file.parent}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(40):
            while line := (await process.stdout.readline()).decode():
                if found := re.search(r"listening at (127\.0\.0\.1:\d+)", line):
                    yield found[1]
                    break
    finally:
        process.send_signal(signal.SIGTERM)
        await process.communicate()


async def record_with_mitmproxy(mitmdump: str, file: Path) -> None:
    async with serve(echo, "127.0.0.1", 0, subprotocols=["chat"]) as server:  # type: ignore[list-item]
        host, port = server.sockets[0].getsockname()[:2]
        async with proxy(mitmdump, f"{host}:{port}", file) as address:
            reader, writer = await asyncio.open_connection(*address.split(":"))
            writer.write(b"GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await reader.read()
            writer.close()
            await writer.wait_closed()
            for number in range(2):
                url = f"ws://{address}/feed/{number}?token=secret"
                async with connect(url, subprotocols=["chat"]) as client:  # type: ignore[list-item]
                    await client.send("drop me")
                    for message in ("é \0", b"\x00\xff", '{"type": "A", "ts": 1795500000000}', ""):
                        await client.send(message)
                        await client.recv()
                    await client.close(4000, "done")


async def test_what_mitmproxy_saved_becomes_a_session(with_mitmdump: str, tmp_path: Path) -> None:
    await record_with_mitmproxy(with_mitmdump, tmp_path / "saved.flow")
    assert is_flow_file((tmp_path / "saved.flow").read_bytes()[:4_096])
    result = import_file(ImportOptions(file=tmp_path / "saved.flow", library=tmp_path / "lib"))
    assert (result.format, result.notes) == (
        "mitmproxy",
        ("1 flows are no WebSockets and were left out", "2 messages that mitmproxy did not pass on were left out"),
    )
    assert result.manifest.identity.feed.endswith("/feed/0?token=***")
    events = list(wsrecorder.open(result.path).events())
    for conn in (0, 1):
        first, *frames, last = (event for event in events if event.conn == conn)
        assert (first.kind, last.kind) == (Kind.OPEN, Kind.CLOSE)
        assert f"/feed/{conn}?token=***" in str(first.detail)
        assert '"subprotocol": "chat"' in str(first.detail)
        assert '"code": 4000, "reason": "done", "cause": "closed by the client"' in str(last.detail)
        payloads = ["é \0".encode(), b"\x00\xff", b'{"type": "A", "ts": 1795500000000}', b""]
        for direction in Direction:
            assert [event.payload for event in frames if event.direction is direction] == payloads
        assert [event.binary is not None for event in frames[2:4]] == [True, True]
        assert frames[4].type == "A"


@settings(max_examples=4, phases=[Phase.explicit, Phase.generate])  # an example takes seconds: no shrinking
@given(st.lists(st.tuples(st.sampled_from(Direction), st.integers(0, 10**12), FRAMES), min_size=60, max_size=60))
def test_whatever_was_said_survives_the_round_trip(
    mitmdump: str, frames: list[tuple[Direction, int, tuple[str | None, bytes | None, str | None]]]
) -> None:
    events = traffic(frames)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MITMDUMP, mitmdump)
        content, notes = written(events, write_flows)
        again, reader = read(content, FlowReader)
    assert is_flow_file(content)
    assert [(event.kind, event.direction, event.text, event.binary, event.type) for event in again] == [
        (event.kind, event.direction, event.text, event.binary, event.type) for event in events
    ]
    for one, other in zip(events, again, strict=True):
        assert abs(one.received_ns - other.received_ns) <= STEP_OF_A_FLOAT_NS
    assert notes == ["times are floating point seconds, good to about 240 ns"]
    assert (reader.feed, reader.notes) == (FEED, [])


@pytest.mark.usefixtures("with_mitmdump")
def test_what_a_flow_cannot_hold_is_said() -> None:
    broken = (None, b"\xff", '{"opcode": "text", "reason": "not UTF-8"}')
    events = traffic([(Direction.IN, 1_000_000, broken)])
    gap = Event(len(events), Kind.GAP, 0, Direction.IN, 10**9, events[0].received_ns + 10**9, detail="{}")
    content, notes = written([*events, gap], write_flows)
    assert notes[1:] == ["1 events gap were left out"]
    again, reader = read(content, FlowReader)
    assert again[1].binary == b"\xff"
    assert reader.notes == ["1 text frames that are not UTF-8 became binary ones"]


@pytest.mark.usefixtures("with_mitmdump")
@pytest.mark.parametrize("size_bytes", [-1, 100])
def test_a_flow_file_that_is_cut_off_is_an_error_with_its_place(size_bytes: int) -> None:
    content, _ = written(traffic([(Direction.IN, 1, ("a", None, None))]), write_flows)
    with pytest.raises(SessionError, match=r"^file, up to byte [\d,]+: mitmproxy says: "):
        read(content[:size_bytes], FlowReader)


@pytest.mark.usefixtures("with_mitmdump")
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "holds no WebSocket: none of its 0 flows"),
        (b"what is this", "mitmproxy says: Invalid data format."),
        (b'{"log": {"entries": []}}', "holds no WebSocket"),
    ],
)
def test_what_is_no_flow_file_or_has_no_websocket_is_said(content: bytes, problem: str) -> None:
    with pytest.raises(SessionError) as caught:
        read(content, FlowReader)
    assert problem in caught.value.message


def test_without_the_program_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(MITMDUMP, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError) as caught:
        read(b"", FlowReader)
    assert "not on the PATH" in caught.value.message
    assert MITMDUMP in caught.value.hint
    monkeypatch.setenv(MITMDUMP, str(tmp_path / "absent"))
    with pytest.raises(UsageError, match=r"cannot run .*absent"):
        read(b"", FlowReader)


@pytest.mark.parametrize("shell", ["exit 1", "cat >/dev/null", "echo went wrong >&2"])
def test_a_program_that_is_something_else_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shell: str) -> None:
    program = tmp_path / "mitmdump"
    program.write_text(f"#!/bin/sh\n{shell}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv(MITMDUMP, str(program))
    with pytest.raises(SessionError, match=r"mitmdump failed; it said: (nothing|went wrong)"):
        read(b"x" * 3_000_000, FlowReader)
    with pytest.raises(SessionError, match=r"mitmdump failed"):
        written(traffic([]), write_flows)


def test_lines_of_the_file_are_counted_for_the_progress(with_mitmdump: str) -> None:
    content, _ = written(traffic([(Direction.IN, 1, ("a", None, None))]), write_flows)
    lines = Lines(io.BytesIO(content), "file")
    for _ in FlowReader(lines).batches():
        assert 0 < lines.read_bytes <= len(content)
