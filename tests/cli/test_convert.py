"""import and export: files become sessions, sessions become files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import wsrecorder
from docs.example import add_session
from wsrecorder.cli import main
from wsrecorder.core.event import Event

CAPTURE = (
    b"wss://feed.example/stream <-> 1618677816.5\n"
    b'1618677817.5: {"e":"trade","E":1618677817000}\n'
    b"1618677818.5: b'\\x00\\xff'\n"
)


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "recordings"


def events(reference: str) -> list[Event]:
    return list(wsrecorder.open(reference).events())


def test_a_capture_becomes_a_session(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("FEED.ws.1.0").write_bytes(CAPTURE)
    assert main(["import", "FEED.ws.1.0", "--name", "feed", "--type-path", "e", "--ts-path", "E"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "imported 2 messages" in captured.err
    found = events("feed")
    assert [event.type for event in found] == [None, "trade", None]
    assert found[1].sent_at_us == 1_618_677_817_000_000
    assert found[2].binary == b"\x00\xff"


def test_import_json_tells_where_it_went(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("A.ws.1.0", "B.ws.1.0"):
        Path(name).write_bytes(CAPTURE)
    assert main(["import", "A.ws.1.0", "B.ws.1.0", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [entry["format"] for entry in found] == ["cryptofeed", "cryptofeed"]
    assert [entry["messages"] for entry in found] == [2, 2]
    assert all(Path(entry["path"]).is_dir() for entry in found)


def test_import_into_a_duckdb_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("A.ws.1.0").write_bytes(CAPTURE)
    assert main(["import", "A.ws.1.0", "--into", "x.duckdb"]) == 0
    assert len(events("x.duckdb")) == 3
    assert main(["import", "A.ws.1.0", "A.ws.1.0", "--into", "y.duckdb"]) == 2
    assert "--into takes one file" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["jsonl", "duckdb"])
def test_what_was_exported_is_the_session_again(library: Path, form: str) -> None:
    add_session(library, messages=200)
    assert main(["export", "engine", "-o", f"x.{form}"]) == 0
    if form == "jsonl":
        assert main(["import", "x.jsonl", "--name", "again", "--library", "other"]) == 0
        again = list(wsrecorder.open("again", library="other").events())
    else:
        again = events("x.duckdb")
    assert again == events("engine")


def test_cat_payload_can_be_imported(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=200)
    assert main(["cat", "engine", "--payload"]) == 0
    Path("payloads.txt").write_text(capsys.readouterr().out)
    assert main(["import", "payloads.txt", "--format", "payloads", "--name", "again"]) == 0
    assert [event.text for event in events("again")] == [event.text for event in events("engine") if event.text]


@pytest.mark.parametrize("name", ["x.har", "x.mcap", "FEED.ws.1.0"])
def test_what_went_through_another_format_is_the_session_again(
    library: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    add_session(library, messages=200)
    assert main(["export", "engine", "-o", name]) == 0
    said = capsys.readouterr().err
    assert ("har: times have nine digits" in said) == (name == "x.har")
    assert ("cryptofeed: 1 events close were left out" in said) == name.startswith("FEED")
    assert main(["import", name, "--name", "again"]) == 0
    # A clock that was set meanwhile is not in these files, and a capture does not tell of the end.
    facts = [(event.kind, event.type, event.payload, event.received_ns) for event in events("engine")]
    again = [(event.kind, event.type, event.payload, event.received_ns) for event in events("again")]
    assert again == (facts[:-1] if name.startswith("FEED") else facts)


def test_a_part_is_exported(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=300)
    arguments = ["--types", "SIGNAL,SCAN_RESULT", "--from", "2s", "--json"]
    assert main(["export", "engine", "-o", "x.csv", *arguments]) == 0
    expected = [
        event.seq for event in events("engine")
        if event.type in ("SIGNAL", "SCAN_RESULT") and event.elapsed_ns >= 2e9
    ]  # fmt: skip
    with Path("x.csv").open(newline="") as file:
        assert [int(row["seq"]) for row in csv.DictReader(file)] == expected
    report = json.loads(capsys.readouterr().out)
    assert (report["format"], report["events"]) == ("csv", len(expected))
    assert report["bytes"] == Path("x.csv").stat().st_size


def test_a_stream_is_exported_to_stdout(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=50)
    for arguments in (["--format", "jsonl"], ["--format", "jsonl", "-o", "-"]):
        assert main(["export", "engine", *arguments]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 52


def test_a_file_that_is_there_is_kept(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=50)
    Path("x.csv").write_text("mine")
    assert main(["export", "engine", "-o", "x.csv"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert Path("x.csv").read_text() == "mine"
    assert main(["export", "engine", "-o", "x.csv", "--overwrite"]) == 0
    assert len(Path("x.csv").read_text().splitlines()) > 50


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["import", "nowhere.ws.0.0"], 2, "no file"),
        (["import", "empty.jsonl"], 4, "empty"),
        (["import", "strange"], 2, "--format"),
        (["import", "broken.jsonl"], 4, "line 1"),
        (["import", "A.ws.1.0", "--format", "xml"], 2, "unknown"),
        (["import", "A.ws.1.0", "--ts-unit", "fortnights"], 2, "fortnights"),
        (["export", "engine"], 2, "--format"),
        (["export", "engine", "-o", "x.xyz"], 2, "--format"),
        (["export", "engine", "-o", "nowhere/x.csv"], 2, "folder"),
        (["export", "engine", "--format", "jsonl", "--json"], 2, "standard output"),
        (["export", "engine", "--format", "duckdb"], 2, "-o"),
        (["export", "engine", "-o", "x.csv", "--types", "A", "--exclude", "A"], 2, "both in"),
    ],
)
def test_wrong_use_and_bad_files_are_told(
    library: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, word: str
) -> None:
    add_session(library, messages=50)
    Path("A.ws.1.0").write_bytes(CAPTURE)
    Path("empty.jsonl").write_bytes(b"")
    Path("strange").write_bytes(b"what is this\n")
    Path("broken.jsonl").write_bytes(b"what is this\nand this\n")
    before = sorted(path.name for path in Path().rglob("*"))
    assert main(arguments) == code
    captured = capsys.readouterr()
    error, hint = captured.err.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    assert word in captured.err
    assert sorted(path.name for path in Path().rglob("*")) == before
