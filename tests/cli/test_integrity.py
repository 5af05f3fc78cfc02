"""verify and recover: what they say, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import wsrecorder
from docs.example import MONDAY, TUESDAY, add_crashed, add_session, engine_batches, sink
from wsrecorder.cli import main
from wsrecorder.store.manifest import Health


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "recordings"


@pytest.mark.parametrize("into", [None, "x.duckdb"])
def test_a_sound_session_is_said_to_be(library: Path, capsys: pytest.CaptureFixture[str], into: str | None) -> None:
    add_session(library, messages=200, segment_bytes=20_000, into=into)
    assert main(["verify", "latest"]) == 0
    captured = capsys.readouterr()
    assert "is sound: 202 events" in captured.out
    assert captured.err == ""


@pytest.mark.parametrize("how", ["missing", "cut", "a flipped bit"])
def test_what_is_wrong_is_named(library: Path, capsys: pytest.CaptureFixture[str], how: str) -> None:
    segment = add_session(library, messages=200, segment_bytes=20_000) / "events" / "000001.parquet"
    content = segment.read_bytes()
    if how == "missing":
        segment.unlink()
    else:
        segment.write_bytes(content[:-9] if how == "cut" else content[:500] + bytes([content[500] ^ 1]) + content[501:])
    assert main(["verify", "latest"]) == 4
    captured = capsys.readouterr()
    (finding,) = captured.out.splitlines()
    assert finding.startswith("wrong  events/000001.parquet: ")
    error, hint = captured.err.splitlines()
    assert "breaks 1 rule" in error
    assert "wsrec recover" in hint


def test_verify_json_is_an_object_a_session(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=50)
    add_crashed(library, messages=100)
    assert main(["verify", "--all", "--json"]) == 4
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [report["is_sound"] for report in found] == [True, False]
    assert found[1]["findings"][0]["where"] == "events/000000.journal"


def test_a_session_being_recorded_is_sound(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = sink(library, "live", MONDAY)
    target.append(next(engine_batches(MONDAY, 50)))
    assert main(["verify", "live"]) == 0
    assert "which is being recorded, is sound" in capsys.readouterr().out
    target.close(Health())


def test_a_newer_format_is_wrong_and_says_why(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = add_session(library, messages=20) / "session.json"
    manifest.write_text(manifest.read_text().replace('"format_version": 1', '"format_version": 99'))
    assert main(["verify", "latest"]) == 4
    assert "version 99" in capsys.readouterr().out


def test_recover_says_what_was_cut_and_exits_6_once(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = add_crashed(library, messages=300)
    before = list(wsrecorder.open(path).events())
    assert main(["recover", "latest"]) == 6
    captured = capsys.readouterr()
    assert "bytes at its end could not be read" in captured.out
    assert "kept in 000000.journal.cut" in captured.out
    assert f"whole up to {before[-1].received_at.isoformat()}, {len(before):,} events" in captured.err
    assert list(wsrecorder.open(path).events()) == before
    assert main(["recover", "latest"]) == 0
    assert "nothing was lost" in capsys.readouterr().err
    assert main(["verify", "latest"]) == 0


def test_recover_of_a_whole_journal_exits_0(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = sink(library, "killed", MONDAY)
    for batch in engine_batches(MONDAY, 200):
        target.append(batch)
    target.abandon()
    assert main(["recover", "latest", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["events"], report["cut_bytes"], report["sealed"]) == (202, 0, ["000000.parquet"])
    assert main(["verify", "latest"]) == 0


def test_recover_writes_a_lost_manifest_anew(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = add_session(library, messages=100)
    (path / "session.json").unlink()
    assert main(["recover", "latest"]) == 0
    assert (path / "session.json").is_file()
    assert main(["verify", "latest"]) == 0


def test_recover_of_nothing_readable_exits_4_and_changes_nothing(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = add_crashed(library, messages=100) / "events" / "000000.journal"
    journal.write_bytes(b"\xff" * 5_000)
    assert main(["recover", "latest"]) == 4
    error, hint = capsys.readouterr().err.splitlines()
    assert "not one event" in error or "can be read" in error
    assert hint
    assert journal.read_bytes() == b"\xff" * 5_000


def test_recover_never_touches_what_is_being_recorded(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = sink(library, "live", MONDAY)
    target.append(next(engine_batches(MONDAY, 50)))
    assert main(["recover", "live"]) == 4
    assert "being written" in capsys.readouterr().err
    target.close(Health())


def test_the_worst_of_several_decides(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_crashed(library, messages=100)
    add_session(library, "z", TUESDAY.replace(hour=9), 50)
    assert main(["recover", "--all"]) == 6
    assert len([line for line in capsys.readouterr().err.splitlines() if "is whole up to" in line]) == 2


@pytest.mark.parametrize("command", ["verify", "recover"])
def test_a_session_must_be_named(command: str, library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=20)
    assert main([command]) == 2
    assert "no session was named" in capsys.readouterr().err
    assert main([command, "--all", "latest"]) == 2
    assert "exclude each other" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["verify", "recover"])
def test_all_of_an_empty_library_says_that_there_is_none(
    command: str, library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--all"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", 'library recordings holds no session; "wsrec record URL" makes one\n')
