"""The job that serves the simulated engine."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from wsrecorder.clock import SystemClock, VirtualClock
from wsrecorder.errors import EndpointError, StorageError, UsageError
from wsrecorder.jobs.simulate import SimulateOptions, SimulatorOptions, serving_line, simulate

FEED = SimulatorOptions(port=0, rate=1_000, max_events=200, wait_for=0)


async def test_it_serves_until_it_is_stopped() -> None:
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    job = asyncio.create_task(simulate(SimulateOptions(FEED), SystemClock(), on_started=started.set_result, stop=stop))
    url = await started
    async with connect(url, max_queue=None) as client:
        assert json.loads(await client.recv())["type"] == "HEARTBEAT"
        stop.set()
        summary = await job
        await client.wait_closed()
        assert client.close_code == 1012
    assert summary.url == url
    assert summary.clients == 1
    assert summary.events == sum(summary.types.values())
    assert list(summary.types.values()) == sorted(summary.types.values(), reverse=True)


async def test_it_ends_after_its_duration() -> None:
    summary = await simulate(SimulateOptions(FEED, duration_s=3_600), VirtualClock())
    assert summary.duration_s == 3_600
    assert summary.events >= 200


def written(truth: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in truth.read_text().splitlines()]


async def test_the_truth_is_written_at_the_end(tmp_path: Path) -> None:
    truth = tmp_path / "truth.jsonl"
    summary = await simulate(SimulateOptions(FEED, duration_s=60, truth=truth), VirtualClock())
    kinds = [row["what"] for row in written(truth)]
    assert kinds.count("sent") == summary.events
    assert set(kinds) == {"sent", "order", "position"}


async def test_the_truth_is_written_when_it_is_canceled(tmp_path: Path) -> None:
    truth, started = tmp_path / "truth.jsonl", asyncio.get_running_loop().create_future()
    options = SimulateOptions(replace(FEED, wait_for=1), truth=truth)
    job = asyncio.create_task(simulate(options, SystemClock(), on_started=started.set_result))
    async with connect(await started, max_queue=None) as client:
        received = [json.loads(await client.recv())["type"] for _ in range(50)][1:]
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
    assert [row["type"] for row in written(truth) if row["what"] == "sent"][:49] == received


async def test_a_truth_that_cannot_be_written_is_said_before_serving(tmp_path: Path) -> None:
    options = SimulateOptions(FEED, truth=tmp_path / "absent" / "truth.jsonl")
    with pytest.raises(StorageError, match=r"cannot write the truth to .*absent"):
        await simulate(options, VirtualClock(), on_started=lambda url: pytest.fail(f"it serves on {url}"))


async def test_a_taken_port_is_an_endpoint_error() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(EndpointError, match=str(port)):
            await simulate(SimulateOptions(SimulatorOptions(port=port)), VirtualClock())


def test_a_duration_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="0 s"):
        SimulateOptions(duration_s=0)


def test_it_serves_where_the_frontend_looks_by_default() -> None:
    options = SimulateOptions()
    assert (options.feed.host, options.feed.port) == ("127.0.0.1", 8000)
    line = serving_line("ws://127.0.0.1:8000/ws/", options)
    assert line == "simulated engine on ws://127.0.0.1:8000/ws/ (seed 1, 20 events/s, a heartbeat every 30 s)"
