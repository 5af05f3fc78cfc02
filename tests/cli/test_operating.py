"""``--metrics``: what a running program tells of itself over HTTP."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.cli.programs import Program, wsrec
from tests.jobs.replays import listen, message, session, until
from tests.jobs.test_metrics import scraped
from tests.net.tapping import serving
from tests.net.test_probes import ask
from tests.numbered_feed import NumberedFeed
from wsrecorder.cli import operating
from wsrecorder.cli.app import main
from wsrecorder.jobs.metrics import METRICS


@pytest.mark.parametrize(("host", "is_warned_of"), [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)])
def test_metrics_beyond_this_machine_are_warned_of(
    host: str, is_warned_of: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert operating.metrics_options("record", 0, host, quiet=True) is not None
    warned = f"warning: {host} can be reached from other machines, and metrics are shown to all, unencrypted\n"
    assert capsys.readouterr().err == (warned if is_warned_of else "")
    assert operating.metrics_options("record", None, host, quiet=True) is None
    assert capsys.readouterr().err == ""


async def metrics_url(program: Program) -> str:
    return (await program.says(r"metrics at (http://\S+)/metrics"))[1]


async def answer(url: str, path: str) -> tuple[int, str]:
    status, _, said = await asyncio.to_thread(ask, url, path)
    return status, said


async def samples(url: str) -> dict[str, float]:
    status, kind, page = await asyncio.to_thread(ask, url, "/metrics")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return scraped(page.encode())


def alerted(command: str) -> set[str]:
    """Samples of a command that the example of alerts asks for; those of mishaps come with the first."""
    alerts = (Path(__file__).parents[2] / "examples/operations/alerts.yml").read_text()
    asked = {name for expression in re.findall(r"expr: (.+)", alerts) for name in re.findall(r"wsrec_\w+", expression)}
    own = {metric.name for metric in METRICS if command in metric.commands and metric.name != "wsrec_mishaps_total"}
    return {name for name in asked if name.removesuffix("_bucket") in own}


def exported(found: dict[str, float]) -> set[str]:
    return {name.partition(",")[0] for name in found}


async def positive(url: str, name: str) -> None:
    async with asyncio.timeout(30):
        while (await samples(url)).get(name, 0) <= 0:  # noqa: ASYNC110 -- another process
            await asyncio.sleep(0.02)


async def once(url: str, name: str, value: float) -> dict[str, float]:
    """Return the samples once one has that value."""
    async with asyncio.timeout(30):
        while (found := await samples(url)).get(name) != value:  # noqa: ASYNC110 -- another process
            await asyncio.sleep(0.02)
        return found


async def test_a_recorder_tells_what_it_recorded_and_whether_it_is_connected(tmp_path: Path) -> None:
    with NumberedFeed(1_000) as feed:
        where = feed.url
        label = f",feed={where}"
        async with wsrec("record", feed.url, "--metrics", "0", "--json", "--reconnect", "60s", cwd=tmp_path) as program:
            url = await metrics_url(program)
            await once(url, f"wsrec_connected{label}", 1)
            found = await once(url, f"wsrec_frames_total,direction=in{label}", 1_000)
            assert await answer(url, "/healthz") == (200, "ok\n")
            assert await answer(url, "/readyz") == (200, "ok\n")
            size_bytes = found[f"wsrec_received_bytes_total{label}"]
            found = await once(url, f"wsrec_recorded_bytes_total{label}", size_bytes)
            assert found[f"wsrec_sync_seconds_count{label}"] >= 1
            assert found[f"wsrec_latency_seconds_count{label}"] >= 1
            await positive(url, f"wsrec_free_bytes{label}")
            assert alerted("record") - exported(await samples(url)) == {"wsrec_snapshots_failed_total"}
            feed.__exit__(None, None, None)  # the feed is lost
            found = await once(url, f"wsrec_connected{label}", 0)
            assert found[f"wsrec_losses_total{label}"] == 1
            assert await answer(url, "/readyz") == (503, f"{where}: waiting to reconnect\n")
            assert await answer(url, "/healthz") == (200, "ok\n")
            program.signal(signal.SIGTERM)
            code, out, errors = await program.ended()
    assert code == 0, errors
    assert json.loads(out)["bytes"] == size_bytes


async def test_a_replay_tells_what_it_sent_and_how_late(tmp_path: Path) -> None:
    session(tmp_path / "recordings", [message(n / 50) for n in range(20)])
    async with wsrec(
        "replay", "latest", "--port", "0", "--metrics", "0", "--no-console", "--fault", "drop=100%", cwd=tmp_path
    ) as program:
        metrics = await metrics_url(program)
        url = await program.url()
        assert await answer(metrics, "/readyz") == (200, "ok\n")
        assert (await samples(metrics))["wsrec_clients"] == 0
        async with connect(url):
            found = await once(metrics, "wsrec_faults_injected_total,kind=drop", 20)
            assert alerted("replay") <= exported(found)
            assert (found["wsrec_clients"], found["wsrec_clients_served_total"]) == (1, 1)
        assert found["wsrec_clients_refused_total,reason=path"] == 0
        with pytest.raises(InvalidStatus, match="403"):
            await connect(url.replace("/ws/", "/other/?secret=1"))
        await program.says(r"WARNING 127\.0\.0\.1:\d+ was refused with 403: This endpoint is at /ws/")
        await once(metrics, "wsrec_clients_refused_total,reason=path", 1)
        program.signal(signal.SIGTERM)
        _, _, errors = await program.ended()
    assert "1 client not let in: 1 path\n" in errors
    assert "secret" not in errors


async def test_a_clients_frames_are_counted_after_it_has_gone(tmp_path: Path) -> None:
    session(tmp_path / "recordings", [message(n / 50) for n in range(20)])
    async with wsrec("replay", "latest", "--port", "0", "--metrics", "0", "--no-console", cwd=tmp_path) as program:
        metrics = await metrics_url(program)
        client = await listen(await program.url())
        await until(lambda: len(client.payloads) >= 20)
        found = await samples(metrics)
        assert found["wsrec_sent_frames_total"] == found["wsrec_played_frames_total"] == 20
        assert found["wsrec_lateness_seconds_count"] >= 1
        assert client.link is not None
        await client.link.close()
        after = await once(metrics, "wsrec_clients", 0)
        assert after["wsrec_sent_bytes_total"] == found["wsrec_sent_bytes_total"] > 0
        program.signal(signal.SIGTERM)
        await program.ended()


async def test_a_tap_tells_of_its_clients_and_of_both_directions(tmp_path: Path) -> None:
    async def echo(websocket: Any) -> None:
        async for said in websocket:
            await websocket.send(said)

    async with (
        serving(echo) as upstream,
        wsrec("tap", upstream, "--port", "0", "--metrics", "0", cwd=tmp_path) as program,
    ):
        metrics = await metrics_url(program)
        where = (await program.says(r"connect to (\S+) instead"))[1]
        async with connect(where) as client:
            for _ in range(5):
                await client.send("abc")
                await client.recv()
            found = await once(metrics, f"wsrec_recorded_bytes_total,feed={upstream}", 30)
            assert found[f"wsrec_frames_total,direction=in,feed={upstream}"] == 5
            assert found[f"wsrec_frames_total,direction=out,feed={upstream}"] == 5
            assert found["wsrec_clients"] == 1
            assert found["wsrec_added_seconds_count"] == 10
            await positive(metrics, f"wsrec_free_bytes,feed={upstream}")
            assert alerted("tap") <= exported(await samples(metrics))
        program.signal(signal.SIGTERM)
        await program.ended()


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(operating, "find_spec", lambda name: None if name == "prometheus_client" else found(name))
    assert main(["record", "ws://127.0.0.1:1/", "--metrics", "0"]) == 1
    assert "pip install 'wsrecorder[metrics]'" in capsys.readouterr().err
