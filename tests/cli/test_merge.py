"""wsrec merge, and two real recorders of one feed of which each loses something."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import wsrecorder
from docs.example import MONDAY, TUESDAY, add_session
from wsrecorder.cli import main


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "recordings"


def test_sessions_are_merged_by_time(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, "one", MONDAY, 200)
    add_session(library, "other", TUESDAY, 100, seed=3)
    assert main(["merge", "one", "other", "--name", "both", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["messages"] == 300
    assert [source["messages"] for source in found["sources"]] == [200, 100]
    assert main(["verify", "both"]) == 0
    assert wsrecorder.open("both").info.connections == 2


def test_recordings_of_one_feed_fill_each_others_gaps(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = wsrecorder.open(add_session(library, "whole", MONDAY, 1_200))
    add_session(library, "one", MONDAY, 900, lose_at=300)
    add_session(library, "other", MONDAY, 900, lose_at=600)
    assert main(["merge", "one", "other", "--same-feed", "--name", "x"]) == 0
    said = capsys.readouterr().err
    assert "seen by it alone, clock +0.0 ms" in said
    assert "0 gaps left where nobody was there" in said
    found = [event.text for event in wsrecorder.open("x").events() if event.text]
    assert found == [event.text for event in whole.events() if event.text][: len(found)]
    assert main(["merge", "one", "other", "--same-feed", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["shared"] + sum(source["alone"] for source in told["sources"]) == told["messages"] == len(found)
    assert told["doubtful"] == 0


def test_what_is_doubtful_is_said(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, "one", MONDAY, 100)
    add_session(library, "other", MONDAY, 100, seed=3)
    assert main(["merge", "one", "other", "--same-feed"]) == 6
    said = capsys.readouterr().err
    assert "are these recordings of one feed?" in said
    assert "could not be placed with certainty" in said


def test_errors_have_their_exit_codes(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, "one", MONDAY, 10)
    assert main(["merge", "one"]) == 2
    assert main(["merge", "one", "one"]) == 2
    assert main(["merge", "one", "nothing"]) == 4
    assert len(list(library.iterdir())) == 1
