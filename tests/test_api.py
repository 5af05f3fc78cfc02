"""Recording and serving from Python, over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

import wsrecorder
from tests.jobs.replays import ats, listen, message, session
from wsrecorder.clock import SystemClock
from wsrecorder.errors import EndpointError, FeedError, SessionNotFound, UsageError
from wsrecorder.net.simulator import Simulator
from wsrecorder.net.simulator_options import SimulatorOptions
from wsrecorder.store.library import Library
from wsrecorder.store.session import Store


@pytest.fixture
async def feed() -> AsyncIterator[str]:
    """The URL of a simulated feed."""
    async with Simulator(SimulatorOptions(port=0, rate=1_000), SystemClock()) as simulator:
        yield simulator.url


@pytest.fixture
def ten(tmp_path: Path) -> Store:
    return session(tmp_path, [message(n / 100, "AB"[n % 2]) for n in range(10)])


def test_importing_it_loads_next_to_nothing() -> None:
    heavy = {"asyncio", "duckdb", "msgspec", "polars", "pyarrow", "rich", "typer", "websockets"}
    code = f"import sys, wsrecorder; wsrecorder.__version__; print({heavy} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout == "set()\n"


def test_its_names_are_there_and_no_others() -> None:
    assert set(wsrecorder.__all__) <= set(dir(wsrecorder))
    for name in wsrecorder.__all__:
        assert getattr(wsrecorder, name) is getattr(wsrecorder, name)
        assert name == "__version__" or getattr(wsrecorder, name).__doc__
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = wsrecorder.nonsense  # type: ignore[attr-defined]


# record


async def test_a_feed_is_recorded_until_there_is_enough(feed: str, tmp_path: Path) -> None:
    recorded = await wsrecorder.record(feed, library=tmp_path, name="engine", max_events=50)
    info = recorded.info
    assert (info.messages, info.name, info.sealed) == (50, "engine", True)
    assert recorded.path.parent == tmp_path
    assert info.tool == f"wsrecorder {wsrecorder.__version__}"
    assert next(event.type for event in recorded.events(kinds=["message"])) == "HEARTBEAT"


@pytest.mark.parametrize("duration", [0.2, "200ms"])
async def test_a_feed_is_recorded_for_a_time(feed: str, tmp_path: Path, duration: Any) -> None:
    recorded = await wsrecorder.record(feed, into=tmp_path / "x.duckdb", duration=duration)
    assert recorded.path == tmp_path / "x.duckdb"
    assert recorded.info.duration_s == pytest.approx(0.2, abs=0.15)
    assert recorded.info.messages > 10


async def test_a_recording_ends_when_it_is_stopped(feed: str, tmp_path: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.2, stop.set)
    recorded = await wsrecorder.record(feed, library=tmp_path, stop=stop)
    assert recorded.info.sealed


async def test_a_cancelled_recording_is_sealed(feed: str, tmp_path: Path) -> None:
    recording = asyncio.create_task(wsrecorder.record(feed, library=tmp_path, name="cut"))
    await asyncio.sleep(0.3)
    recording.cancel()
    with pytest.raises(asyncio.CancelledError):
        await recording
    info = wsrecorder.open("cut", library=tmp_path).info
    assert info.sealed
    assert info.messages > 10


async def test_a_feed_that_cannot_be_had_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FeedError):
        await wsrecorder.record("ws://127.0.0.1:1/ws/", library=tmp_path)
    assert Library(tmp_path).paths() == []


@pytest.mark.parametrize(
    "wrong", [{"duration": 0}, {"duration": -1}, {"duration": "soon"}, {"max_events": 0}, {"stall": float("nan")}]
)
async def test_a_recording_that_cannot_be_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        await wsrecorder.record("ws://127.0.0.1:1/ws/", library=tmp_path, **wrong)


# serve


async def test_a_session_is_served(ten: Store) -> None:
    async with wsrecorder.serve(ten.path, speed=2, at_end="close") as replay:
        assert replay.url.startswith("ws://127.0.0.1:")
        listener = await listen(replay.url)
        await listener.closed()
        await replay.finished.wait()
        assert replay.error is None
    assert ats(listener.payloads) == [n / 100 for n in range(10)]
    assert replay.report().frames_sent == 10


@pytest.mark.parametrize(
    "options",
    [
        {"start": "50ms", "end": "-10ms", "exclude": "A"},
        {"start": "50ms", "end": "-10ms", "types": ["B", "C"]},
        {"start": "50ms", "end": "-10ms", "types": "B,C", "speed": "max", "per_client": True, "wait_for": 0},
    ],
)
async def test_what_is_served_can_be_chosen(ten: Store, options: dict[str, Any]) -> None:
    library = ten.path.parent
    options = {"at_end": "close", "max_gap": 0.001, "prime": "none", **options}
    async with wsrecorder.serve("latest", library=library, **options) as replay:
        listener = await listen(replay.url)
        await listener.closed()
    assert ats(listener.payloads) == [0.05, 0.07]


async def test_faults_can_be_served(ten: Store) -> None:
    async with wsrecorder.serve(ten.path, speed="max", at_end="close", faults=["drop=50%"], seed=2) as replay:
        listener = await listen(replay.url)
        await listener.closed()
        assert 0 < len(listener.frames) == 10 - replay.report().faults.counts["drop"] < 10


async def test_a_console_can_be_beside_what_is_served(ten: Store) -> None:
    def read(url: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{url}api/state", timeout=20) as answer:
            state: dict[str, Any] = json.load(answer)
            return state

    async with wsrecorder.serve(ten.path) as replay:
        assert replay.console_url is None
    async with wsrecorder.serve(ten.path, console_port=0) as replay:
        assert replay.console_url is not None
        state = await asyncio.to_thread(read, replay.console_url)
        assert (state["mode"], state["url"]) == ("replay", replay.url)
    with pytest.raises(URLError):
        await asyncio.to_thread(read, replay.console_url)


async def test_a_console_that_cannot_be_had_ends_what_is_served(ten: Store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        replay = wsrecorder.serve(ten.path, console_port=taken.getsockname()[1])
        with pytest.raises(EndpointError):
            await replay.__aenter__()
    assert not replay.endpoint.clients
    async with wsrecorder.serve(ten.path, console_port=0):  # the first one has let go of everything
        pass


async def test_a_client_is_told_first_how_things_stand(ten: Store) -> None:
    async with wsrecorder.serve(ten.path, at_end="close", start="50ms", speed="max") as replay:
        listener = await listen(replay.url)
        await listener.closed()
    report = replay.report()
    assert report.primed == len(listener.frames) - report.frames_sent > 0
    assert all(at_s < 0.05 for at_s in ats(listener.payloads)[: report.primed])


async def test_sessions_themselves_can_be_served(ten: Store) -> None:
    mine = wsrecorder.Session(ten)
    async with wsrecorder.serve(mine, mine, speed=float("inf"), at_end="close", path="/both/") as replay:
        assert replay.url.endswith("/both/")
        listener = await listen(replay.url)
        await listener.closed()
    assert len(listener.frames) == 20


async def test_what_was_recorded_can_be_served_at_once(feed: str, tmp_path: Path) -> None:
    recorded = await wsrecorder.record(feed, library=tmp_path, max_events=200)
    async with wsrecorder.serve(recorded, speed="max", verbatim=True, at_end="close") as replay:
        again = await wsrecorder.record(replay.url, library=tmp_path, name="again", reconnect=0)
    sent, received = ([event.payload for event in s.events(kinds=["message"])] for s in (recorded, again))
    assert sent == received
    assert len(sent) == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"speed": 0},
        {"speed": "fast"},
        {"clock": "wall"},
        {"at_end": "never"},
        {"slow_client": "kick"},
        {"max_gap": -1},
        {"start": "1h"},
        {"types": "C"},
        {"port": 70_000},
    ],
)
def test_a_replay_that_cannot_be_is_refused(ten: Store, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as refused:
        wsrecorder.serve(ten.path, **wrong)
    assert refused.value.hint


def test_a_session_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SessionNotFound):
        wsrecorder.serve("latest", library=tmp_path)
    with pytest.raises(UsageError, match="no session"):
        wsrecorder.serve()


async def test_a_port_in_use_is_an_error(ten: Store) -> None:
    async with wsrecorder.serve(ten.path) as first:
        with pytest.raises(EndpointError):
            await wsrecorder.serve(ten.path, port=first.endpoint.port).__aenter__()


# play


async def test_sessions_are_played_into_a_program(tmp_path: Path) -> None:
    store = session(tmp_path, [message(n, "AB"[n % 2]) for n in range(10)])
    clock = wsrecorder.VirtualClock()
    playing = wsrecorder.play(
        [wsrecorder.open(store.path), store.path.name],
        library=tmp_path, clock=clock, types="B", start="2s", end="8s", where="seq <> 5", speed="max",
    )  # fmt: skip
    assert [(event.seq, clock.now_ns() // 1_000_000_000) async for event in playing] == [(3, 3), (7, 7)]


async def test_a_session_by_itself_is_played_on_a_clock_of_its_own(ten: Store) -> None:
    playing = wsrecorder.play(ten.path, exclude=["A"])
    events = [event async for event in playing]
    assert playing.clock.now_ns() == events[-1].elapsed_ns
    assert wsrecorder.stream_hash(events) == wsrecorder.stream_hash(wsrecorder.open(ten.path).events(types=["B"]))
