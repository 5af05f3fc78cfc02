"""``wsrec demo``: what a new user sees first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.programs import wsrec
from wsrecorder.cli.app import main
from wsrecorder.errors import WsrecError
from wsrecorder.jobs import demo as job


async def test_it_shows_the_whole_job(tmp_path: Path) -> None:
    async with wsrec("demo", "--duration", "1s", cwd=tmp_path) as program:
        code, out, said = await program.ended()
    assert code == 0, said
    for words in (
        "1. Recording 1 s of the simulated engine on ws://127.0.0.1:",
        "into recordings/",
        "p99",
        "2. How long did messages take",
        "3. What became of the orders?",
        "4. Replayed at 10× on ws://127.0.0.1:",
        "byte for byte",
        "achieved speed",
        "lateness p50",
        "wsrec replay latest --speed 10  ",
    ):
        assert words in said
    for words in ("type", "ENGINE_UPDATE", "p50_ms", "symbol", "BTC/USDT"):
        assert words in out
    assert len(list((tmp_path / "recordings").iterdir())) == 1


async def test_with_json_it_prints_one_object(tmp_path: Path) -> None:
    options = ["--duration", "500ms", "--rate", 300, "--seed", 3, "--speed", "max", "--library", "lib", "--json"]
    async with wsrec("demo", *options, cwd=tmp_path) as program:
        code, out, said = await program.ended()
    facts = json.loads(out)
    assert code == 0
    assert facts["replay"]["frames_compared"] == facts["session"]["messages"] > 50
    assert [len(answer["rows"]) > 0 for answer in facts["answers"]] == [True, True]
    assert facts["latency_ms"]["p99"] >= facts["latency_ms"]["p50"]
    assert "no frame had a deadline" in said


def test_another_library_is_named_in_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--duration", "300ms", "--speed", "max", "--library", str(tmp_path / "my lib")]) == 0
    assert f"wsrec replay latest --speed 10 --library '{tmp_path}/my lib'" in capsys.readouterr().err


def test_a_failed_check_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def differ(recorded: Any, arrived: Any) -> None:
        raise WsrecError("the replay differs at frame 7", hint="report it")

    monkeypatch.setattr(job, "_compare", differ)
    assert main(["demo", "--duration", "300ms", "--speed", "max", "--library", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.endswith("error: the replay differs at frame 7\nhint: report it\n")
    assert "byte for byte" not in said


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--duration", "0"], "--duration 0 records nothing"),
        (["--speed", "0"], "speed 0 is not possible"),
        (["--rate", "-1"], "the rate of the simulated feed is -1"),
    ],
)
def test_the_impossible_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], error: str
) -> None:
    assert main(["demo", *arguments, "--library", str(tmp_path)]) == 2
    assert error in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_library_that_is_a_file_ends_with_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lib").write_text("")
    assert main(["demo", "--duration", "1s", "--library", str(tmp_path / "lib")]) == 4
    assert "error: " in capsys.readouterr().err
