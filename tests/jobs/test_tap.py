"""What goes through a tap is recorded: both directions, every client, in the order in which it came."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.net.tapping import IN, OUT, serving, until
from wsrecorder.analysis.session import Session, open_session
from wsrecorder.clock import SystemClock
from wsrecorder.core.event import Event, Kind
from wsrecorder.core.recorder import Limits
from wsrecorder.errors import EndpointError, StorageError
from wsrecorder.jobs.record_options import RecordOptions
from wsrecorder.jobs.recover import recover
from wsrecorder.jobs.tap import TapJob, tap
from wsrecorder.jobs.tap_options import TapJobOptions, TapOptions, TapSummary
from wsrecorder.jobs.verify import verify
from wsrecorder.net.transport import FeedOptions
from wsrecorder.store import disk


def options(url: str, library: Path, *, limits: Limits | None = None, **changes: Any) -> TapJobOptions:
    record = RecordOptions(feed=FeedOptions(url), library=library, name="t", limits=limits or Limits())
    return TapJobOptions(tap=TapOptions(url, port=0, **changes), record=record)


@asynccontextmanager
async def tapping(asked: TapJobOptions) -> AsyncIterator[tuple[TapJob, list[TapSummary]]]:
    """Tap while the block runs; what came of it is in the list afterwards."""
    stop, started = asyncio.Event(), asyncio.Event()
    jobs: list[TapJob] = []
    summaries: list[TapSummary] = []

    def on_started(job: TapJob) -> None:
        jobs.append(job)
        started.set()

    task = asyncio.create_task(tap(asked, SystemClock(), stop, on_started))
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        waiting.cancel()
        task.result()
    try:
        yield jobs[0], summaries
    finally:
        stop.set()
        summaries.append(await task)


def events_of(summary: TapSummary) -> list[Event]:
    assert summary.outcome.path is not None
    return list(Session(open_session(summary.outcome.path).store).events())


async def test_the_session_equals_what_both_ends_saw(tmp_path: Path) -> None:
    got: dict[str, list[str | bytes]] = {}

    async def handler(websocket: ServerConnection) -> None:
        assert websocket.request is not None
        seen = got.setdefault(websocket.request.path, [])
        async for message in websocket:
            seen.append(message)
            await websocket.send(message)
            await websocket.send(b"\x00" + message.encode() if isinstance(message, str) else message)

    async def client(url: str, name: str) -> list[str | bytes]:
        found: list[str | bytes] = []
        async with connect(url.replace("/ws/", f"/ws/?{name}")) as websocket:
            for number in range(50):
                await websocket.send(f'{{"type": "{name}", "n": {number}}}')
                found += [await websocket.recv(), await websocket.recv()]
        return found

    async with serving(handler) as url, tapping(options(url, tmp_path)) as (job, summaries):
        found = await asyncio.gather(*(client(job.state.url, name) for name in ("A", "B", "C")))
        await until(lambda: not job.state.clients)
    (summary,) = summaries
    events = events_of(summary)
    names = {event.conn: json.loads(event.detail or "")["url"][-1] for event in events if event.kind is Kind.OPEN}
    assert sorted(names.values()) == ["A", "B", "C"]
    for conn, name in names.items():
        mine = [event for event in events if event.conn == conn and event.kind is Kind.MESSAGE]
        sides = {way: [event for event in mine if event.direction is way] for way in (IN, OUT)}
        assert [event.text for event in sides[OUT]] == got[f"/ws/?{name}"]
        assert [event.binary if event.text is None else event.text for event in sides[IN]] == found["ABC".index(name)]
        assert {event.type for event in sides[OUT]} == {name}
    assert [event.elapsed_ns for event in events] == sorted(event.elapsed_ns for event in events)
    assert [event.seq for event in events] == list(range(3 * 152))
    assert (summary.state.messages_in, summary.state.messages_out, summary.state.clients_served) == (300, 150, 3)
    assert summary.state.added.count == 450
    assert summary.outcome.manifest is not None
    assert summary.outcome.manifest.sealed
    assert summary.outcome.manifest.identity.feed == url
    assert summary.outcome.manifest.identity.path == "/ws/"
    assert summary.outcome.path is not None
    assert not verify(open_session(summary.outcome.path).store).findings


async def test_an_answer_stands_after_what_it_answers(tmp_path: Path) -> None:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.send("welcome")
        async for message in websocket:
            await websocket.send(f"re: {message!r}")

    async with serving(handler) as url, tapping(options(url, tmp_path)) as (job, summaries):
        async with connect(job.state.url) as client:
            await client.recv()
            for number in range(3):
                await client.send(str(number))
                await client.recv()
        await until(lambda: not job.state.clients)
    frames = [(str(event.direction), event.text) for event in events_of(summaries[0]) if event.kind is Kind.MESSAGE]
    pairs = [(("out", str(number)), ("in", f"re: '{number}'")) for number in range(3)]
    assert frames == [("in", "welcome"), *(entry for pair in pairs for entry in pair)]


async def test_closes_are_marked_with_who_closed(tmp_path: Path) -> None:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.close(4001, "go to ws://me:hunter2@feed/?sid=hunter2")

    async with serving(handler) as url, tapping(options(url, tmp_path)) as (job, summaries):
        async with connect(job.state.url) as client:
            await client.wait_closed()
            assert client.close_reason == "go to ws://me:hunter2@feed/?sid=hunter2"
        await until(lambda: not job.state.clients)
    events = events_of(summaries[0])
    assert [event.kind for event in events] == [Kind.OPEN, Kind.CLOSE]
    assert json.loads(events[1].detail or "") == {
        "code": 4001, "reason": "go to ws://***@feed/?sid=***", "cause": "closed by the server",
    }  # fmt: skip
    opened = json.loads(events[0].detail or "")
    assert opened["client"].startswith("127.0.0.1:")
    assert opened["deflate"] is True


async def quiet(websocket: ServerConnection) -> None:
    await websocket.send("one")
    await websocket.wait_closed()


async def test_stopping_closes_the_clients_as_a_restart_would_and_marks_it(tmp_path: Path) -> None:
    async with serving(quiet) as url, tapping(options(url, tmp_path)) as (job, summaries):
        client = await connect(job.state.url)
        await client.recv()
    with pytest.raises(ConnectionClosed):
        await client.recv()
    assert client.close_code == 1012
    last = events_of(summaries[0])[-1]
    assert json.loads(last.detail or "") == {"code": 1012, "reason": "", "cause": "the tap ended"}
    assert summaries[0].outcome.error is None


@pytest.mark.parametrize("limits", [Limits(max_events=10), Limits(duration_ns=200_000_000)])
async def test_a_limit_ends_the_tap(limits: Limits, tmp_path: Path) -> None:
    async def handler(websocket: ServerConnection) -> None:
        while True:
            await websocket.send("more")
            await asyncio.sleep(0.001)

    stop = asyncio.Event()
    started: asyncio.Future[TapJob] = asyncio.get_running_loop().create_future()
    async with serving(handler) as url:
        task = asyncio.create_task(tap(options(url, tmp_path, limits=limits), SystemClock(), stop, started.set_result))
        async with connect((await started).state.url) as client:
            with suppress(ConnectionClosed):
                while True:
                    await client.recv()
            assert client.close_code == 1012
        summary = await task
    if limits.max_events is not None:
        assert summary.outcome.manifest is not None
        assert summary.outcome.manifest.messages == 10


def listing(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_without_a_client_there_is_no_session(tmp_path: Path) -> None:
    async with tapping(options("ws://127.0.0.1:1/", tmp_path)) as (job, summaries):
        with pytest.raises(InvalidStatus):
            await connect(job.state.url)
    assert summaries[0].outcome.path is None
    assert summaries[0].outcome.error is None
    assert summaries[0].state.refused == {"upstream": 1}
    assert not listing(tmp_path)


async def test_a_message_over_the_limit_is_a_gap(tmp_path: Path) -> None:
    async with (
        serving(_echo) as url,
        tapping(options(url, tmp_path, max_frame_bytes=10)) as (job, summaries),
        connect(job.state.url, compression=None) as client,
    ):
        await client.send("x" * 11)
        assert await client.recv() == "x" * 11
    gaps = [event for event in events_of(summaries[0]) if event.kind is Kind.GAP]
    assert [event.direction for event in gaps] == [OUT, IN]
    assert json.loads(gaps[0].detail or "") == {"cause": "a message over the limit of 10 bytes", "size_bytes": 11}


async def _echo(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)


async def test_it_records_into_a_duckdb_file_as_well(tmp_path: Path) -> None:
    async with serving(_echo) as url:
        asked = options(url, tmp_path)
        asked = replace(asked, record=replace(asked.record, into=tmp_path / "t.duckdb"))
        async with tapping(asked) as (job, summaries), connect(job.state.url) as client:
            await client.send("x")
            await client.recv()
    assert summaries[0].outcome.path == tmp_path / "t.duckdb"
    assert [event.text for event in events_of(summaries[0]) if event.kind is Kind.MESSAGE] == ["x", "x"]


async def test_a_disk_that_takes_nothing_for_a_while_is_no_business_of_the_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refuses = False
    really = disk.sync

    def sync(file: Any) -> None:
        if refuses:
            raise OSError(28, "No space left on device")
        really(file)

    monkeypatch.setattr(disk, "sync", sync)
    async with (
        asyncio.timeout(30),
        serving(_echo) as url,
        tapping(options(url, tmp_path)) as (job, summaries),
        connect(job.state.url) as client,
    ):
        for text in ("before", "meanwhile", "after"):
            await client.send(text)
            assert await client.recv() == text
            if text == "before":
                await until(lambda: job.state.size_bytes > 0)
                refuses = True
            elif text == "meanwhile":
                await until(lambda: "recording goes on as soon as" in caplog.text)
                refuses = False
                await until(lambda: "takes events again, after" in caplog.text)
    assert summaries[0].outcome.error is None
    events = events_of(summaries[0])
    assert [event.text for event in events if event.kind is Kind.MESSAGE] == [
        text for text in ("before", "meanwhile", "after") for _ in range(2)
    ]
    (gap,) = [json.loads(event.detail or "") for event in events if event.kind is Kind.GAP]
    assert (gap["cause"], gap["lost_frames"]) == ("disk full: No space left on device", 0)


async def test_a_session_that_cannot_be_made_ends_the_tap(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    async with (
        serving(quiet) as url,
        tapping(options(url, tmp_path / "taken")) as (job, summaries),
        connect(job.state.url) as client,
    ):
        await client.wait_closed()
    assert isinstance(summaries[0].outcome.error, StorageError)


async def test_a_port_in_use_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        asked = TapJobOptions(
            tap=TapOptions("ws://127.0.0.1:1/", port=taken.getsockname()[1]),
            record=options("ws://127.0.0.1:1/", tmp_path).record,
        )
        with pytest.raises(EndpointError):
            await tap(asked, SystemClock(), asyncio.Event())


async def test_a_session_cut_off_is_recovered(tmp_path: Path) -> None:
    async with serving(_echo) as url, tapping(options(url, tmp_path)) as (job, _):
        async with connect(job.state.url) as client:
            for number in range(20):
                await client.send(str(number))
                await client.recv()
        # What is on the disk while it records is what a crash leaves.
        await until(lambda: job.state.size_bytes > 0 and not job.state.clients)
        path = job.state.path
        assert path is not None
        await until(lambda: any((path / "events").glob("*.journal")) and job.state.size_bytes == 60)
        shutil.copytree(path, tmp_path / "cut")
    store = open_session(tmp_path / "cut").store
    recover(store)
    frames = [event for event in Session(store).events() if event.kind is Kind.MESSAGE]
    assert [(event.direction, event.text) for event in frames] == [
        (way, str(number)) for number in range(20) for way in (OUT, IN)
    ]


# TLS


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: it makes the server's certificate")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    command = [openssl, *words.split(), "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_a_server_over_tls_is_checked(
    certificate: tuple[Path, Path], is_trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    async with serve(_echo, "localhost", 0, ssl=context, max_size=None) as server:
        url = f"wss://localhost:{server.sockets[0].getsockname()[1]}/ws/"
        async with tapping(options(url, tmp_path / "lib")) as (job, summaries):
            if not is_trusted:
                with pytest.raises(InvalidStatus) as refused:
                    await connect(job.state.url)
                assert refused.value.response.status_code == 502
                assert b"signed by nobody but itself" in (refused.value.response.body or b"")
                return
            async with connect(job.state.url, max_size=None, compression=None) as client:
                await client.send("x" * 2_000_000)
                assert await client.recv() == "x" * 2_000_000
                await client.close(4000, "done")
            await until(lambda: not job.state.clients)
    events = events_of(summaries[0])
    assert [len(event.text or "") for event in events] == [0, 2_000_000, 2_000_000, 0]
    assert json.loads(events[-1].detail or "")["code"] == 4000
