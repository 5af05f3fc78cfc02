"""``wsrec simulate``: the simulated feed as its user starts it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.cli.programs import wsrec
from tests.jobs.replays import listen, types
from wsrecorder.cli.app import main


async def test_it_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    async with wsrec("simulate", "--port", 0, "--rate", 500, "--seed", 7, "--json", cwd=tmp_path) as program:
        listener = await listen(await program.url())
        await listener.has(50)
        program.signal(signal.SIGINT)
        assert (await listener.closed()).code == 1012
        code, out, said = await program.ended()
    facts = json.loads(out)
    assert code == 0
    assert (facts["clients"], facts["events"]) == (1, sum(facts["types"].values()))
    assert "simulated engine on ws://127.0.0.1:" in said
    assert "(seed 7, 500 events/s, a heartbeat every 30 s)" in said
    assert "events in" in said


async def test_it_warns_where_other_machines_can_reach_it(tmp_path: Path) -> None:
    options = ["--port", 0, "--wait-for", 0, "--duration", "1ms", "--quiet"]
    for host, is_warned_of in (("0.0.0.0", True), ("127.0.0.1", False)):
        async with wsrec("simulate", "--host", host, *options, cwd=tmp_path) as program:
            code, _, said = await program.ended()
        assert code == 0, said
        assert (f"warning: {host} can be reached from other machines" in said) is is_warned_of


async def test_it_ends_after_its_duration_with_the_truth_written(tmp_path: Path) -> None:
    options = [
        "--port", 0, "--host", "127.0.0.1", "--rate", 200, "--burst", 5, "--heartbeat", "100ms", "--nan", 0.5,
        "--big-scan-every", 0, "--drop-every", "10s", "--wait-for", 0, "--max-events", 20, "--duration", "500ms",
        "--no-deflate", "--truth", "truth.jsonl",
    ]  # fmt: skip
    async with wsrec("simulate", *options, cwd=tmp_path) as program:
        listener = await listen(await program.url())
        await listener.closed()
        code, out, _ = await program.ended()
    assert (code, out) == (0, "")
    assert types(listener.payloads)[0] == "HEARTBEAT"
    assert (tmp_path / "truth.jsonl").read_text()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--rate", "-1"], "the rate of the simulated feed is -1"),
        (["--burst", "-1"], "the burst of the simulated feed is -1"),
        (["--nan", "2"], "the share of NaN of the simulated feed is 2"),
        (["--heartbeat", "0"], "the heartbeat interval of the simulated feed is 0"),
        (["--drop-every", "0s"], "the drop interval of the simulated feed is 0"),
        (["--drop-every", "often"], '"often" is not a duration'),
        (["--duration", "0"], "the duration of the simulation is 0"),
        (["--port", "70000"], "the port of the simulated feed is 70000"),
        (["--seed", "x"], "--seed"),
    ],
)
def test_the_impossible_is_refused(capsys: pytest.CaptureFixture[str], arguments: list[str], error: str) -> None:
    assert main(["simulate", *arguments]) == 2
    assert error in capsys.readouterr().err
