"""note: what it writes, lists and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs.example import add_crashed, add_session
from wsrecorder.cli import main


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, where ./recordings is the library."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    return tmp_path / "recordings"


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    assert main(["note", *arguments]) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


@pytest.mark.parametrize("into", [None, "x.duckdb"])
def test_what_is_noted_is_listed(library: Path, capsys: pytest.CaptureFixture[str], into: str | None) -> None:
    add_session(library, messages=300, into=into)
    out, err = run(capsys, "latest", "the stop came late", "--at", "4s")
    assert out == ""
    assert "noted at 4.000 s" in err
    out, _ = run(capsys, "latest")
    assert out.splitlines()[-1].split(maxsplit=3) == ["4.000", "s", "2026-11-23T19:15:04+00:00", "the stop came late"]
    (found,) = json.loads(run(capsys, "latest", "--json")[0])
    assert found["elapsed_ns"] == 4_000_000_000
    assert found["at"] == "2026-11-23T19:15:04+00:00"
    assert found["text"] == "the stop came late"


def test_without_a_moment_the_end_is_meant(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = add_session(library, messages=300)
    last_ns = json.loads((path / "session.json").read_text())["last_elapsed_ns"]
    made = json.loads(run(capsys, "latest", "here", "--json")[0])
    assert made["elapsed_ns"] == last_ns


def test_a_session_that_was_cut_can_be_noted_on(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_crashed(library)
    run(capsys, "latest", "power went", "--at", "-1s")
    assert "power went" in run(capsys, "latest")[0]


def test_a_moment_outside_of_the_session_is_refused(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=300)
    assert "after it ended" in run(capsys, "latest", "x", "--at", "10h", code=2)[1]
    assert run(capsys, "latest")[1] == "there is no note yet\n"


def test_a_moment_without_a_text_is_refused(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=300)
    assert "there is no text" in run(capsys, "latest", "--at", "1s", code=2)[1]


def test_what_could_steer_a_terminal_is_escaped(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=300)
    run(capsys, "latest", "a\x1b[31mb\nc")
    out, _ = run(capsys, "latest")
    assert "\x1b" not in out
    assert out.count("\n") == 3


def test_lines_that_cannot_be_read_are_said(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = add_session(library, messages=300)
    (path / "notes.jsonl").write_text("{\n")
    assert "1 of the lines" in run(capsys, "latest")[1]
