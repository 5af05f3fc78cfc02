"""``wsrec latency``: tables for people, JSON for programs, a page of plots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from docs.example import add_session
from tests.analysis.truths import START_MS, record_payloads
from wsrecorder.cli import main


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    add_session(tmp_path / "recordings", messages=800, lose_at=400)
    return tmp_path / "recordings"


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["latency", *arguments]) == 0
    return capsys.readouterr().out


def figures(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer(capsys, *arguments, "--json"))
    return found


def test_the_table_and_the_data_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(capsys, "latest")
    lines = answer(capsys, "latest").splitlines()
    assert lines[0].split()[:7] == ["type", "messages", "p50", "p90", "p99", "p99.9", "max"]
    assert lines[2].split()[:3] == ["all", "800", f"{found['overall']['latency_ms']['p50']:.2f}"]
    assert lines[3].split()[0] == found["by_type"][0]["type"]
    text = "\n".join(lines)
    assert f"heartbeats: {found['heartbeats']['heartbeats']}, every" in text
    assert "stalls: none of 35 s or more" in text
    assert "clock: 0.3" in text


def test_slices_and_stalls_are_as_long_as_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(capsys, "latest", "--every", "5s", "--stall", "200ms")
    assert (found["slice_s"], found["stall_s"]) == (5, 0.2)
    assert found["stalls"] > 0
    assert "lasted ms" in answer(capsys, "latest", "--stall", "200ms")


def test_a_page_is_drawn_and_kept(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("plotly", reason="pip install 'wsrecorder[report]'")
    answer(capsys, "latest", "--plot", "x.html")
    assert Path("x.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert main(["latency", "latest", "--plot", "x.html"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    answer(capsys, "latest", "--plot", "x.html", "--overwrite")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--every", "1.5s"], "whole seconds"),
        (["--every", "0s"], "whole seconds"),
        (["--stall", "long"], "not a duration"),
        (["--plot", "nowhere/x.html"], "no folder"),
        (["--plot", "recordings"], "folder"),
    ],
)
def test_wrong_use_is_told(capsys: pytest.CaptureFixture[str], arguments: list[str], word: str) -> None:
    assert main(["latency", "latest", *arguments]) == 2
    said = capsys.readouterr().err
    assert word in said
    assert "Traceback" not in said


def test_a_page_never_goes_into_a_session(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["latency", "latest", "--plot", str(next(library.iterdir()) / "x.html")]) == 2
    assert "part of the session" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("payloads", "words"),
    [
        ([], ["no message has a time stamp", "heartbeats: none"]),
        ([{"type": "A"}, 7], ["no message has a time stamp", "(no type)"]),
        ([{"type": "A", "ts": START_MS}, {"type": "A"}], ["1 message without a time stamp"]),
        ([{"type": "A", "ts": START_MS - index * 1_000} for index in range(30)], ["29 time stamps before", "was set"]),
    ],
    ids=["empty", "no stamp", "one stamp", "backwards"],
)
def test_what_cannot_be_known_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, payloads: list[Any], words: list[str]
) -> None:
    store = record_payloads(tmp_path, payloads)
    text = answer(capsys, str(store.path))
    for word in words:
        assert word in text


def test_a_feed_that_numbers_its_types_has_a_short_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    store = record_payloads(tmp_path, [{"type": f"T{number}", "ts": START_MS} for number in range(50)])
    assert "… and 20 more types" in answer(capsys, str(store.path))
