"""wsrec trim."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import wsrecorder
from docs.example import add_session
from wsrecorder.cli import main


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    add_session(tmp_path / "recordings", messages=300)
    return tmp_path / "recordings"


def test_a_part_is_found_by_its_name_and_verifies(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trim", "engine", "--from", "5s", "--to", "10s", "--name", "part"]) == 0
    assert capsys.readouterr().err.startswith("kept ")
    assert main(["verify", "part"]) == 0
    assert wsrecorder.open("part").info.start == "2026-11-23T19:15:05+00:00"
    assert wsrecorder.open("engine").info.messages == 300, "the old name still means the old session"


def test_json_tells_what_was_made(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trim", "engine", "--types", "SIGNAL", "--into", "x.duckdb", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["path"] == "x.duckdb"
    assert found["messages"] == found["types"]["SIGNAL"] == wsrecorder.open("x.duckdb").info.messages


def test_errors_have_their_exit_codes(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trim", "nothing"]) == 4
    assert main(["trim", "engine", "--types", "A", "--exclude", "A"]) == 2
    assert main(["trim", "engine", "--from", "5h"]) == 2
    assert main(["trim", "engine", "--types", "NONE"]) == 2
    assert [path.name for path in library.iterdir()] == ["20261123T191500Z-engine"]
