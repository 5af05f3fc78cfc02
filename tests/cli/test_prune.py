"""wsrec prune."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs.example import add_session
from wsrecorder.cli import main
from wsrecorder.errors import SessionError


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    add_session(tmp_path / "recordings", messages=50)
    return tmp_path / "recordings"


def test_a_dry_run_changes_nothing_and_says_what_would_go(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(library.rglob("*"))
    assert main(["prune", "--keep-size", "1B", "--dry-run"]) == 0
    shown = capsys.readouterr()
    assert "20261123T191500Z-engine" in shown.out
    assert "the oldest, and there is too much" in shown.out
    assert "1 session would go" in shown.err
    assert sorted(library.rglob("*")) == before


def test_json_tells_what_was_removed(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "--keep-size", "1B", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sessions"][0]["removed"] is True
    assert found["freed_bytes"] == found["sessions"][0]["bytes_on_disk"] > 0
    assert list(library.iterdir()) == []


def test_what_could_not_be_removed_stays(
    library: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise SessionError(f"{path.name} is on a disk that takes no changes", hint="")

    monkeypatch.setattr("wsrecorder.jobs.prune.remove_session", refuse)
    assert main(["prune", "--keep-size", "1B"]) == SessionError.exit_code
    shown = capsys.readouterr()
    assert "stays  the oldest, and there is too much, but could not be removed" in shown.out
    assert "removed 0 sessions" in shown.err
    assert "on a disk that takes no changes" in shown.err


def test_a_library_that_is_not_there_is_an_error(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options in ([], ["--dry-run"], ["--json"]):
        assert main(["prune", "--keep", "1d", "--library", "nosuch", *options]) == 4
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.startswith("error: there is no library nosuch\nhint: ")
    (library.parent / "empty").mkdir()
    assert main(["prune", "--keep", "1d", "--library", "empty"]) == 0


def test_wrong_limits_are_refused(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in ([], ["--keep", "0"], ["--keep-size", "0"], ["--keep", "long"], ["--keep-size", "3 apples"]):
        assert main(["prune", *wrong]) == 2
    assert len(list(library.iterdir())) == 1
