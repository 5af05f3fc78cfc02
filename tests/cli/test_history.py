"""history: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs.example import MONDAY, add_session, sink
from wsrecorder.cli import main
from wsrecorder.jobs.convert import ImportOptions, import_file
from wsrecorder.store.manifest import Health


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, where ./recordings is the library."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    return tmp_path / "recordings"


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    assert main(["history", *arguments]) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.out, captured.err


def test_the_table_has_a_row_a_life(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=600)
    lines = run(capsys, "latest")[0].splitlines()
    assert lines[0].split()[:2] == ["what", "id"]
    rows = json.loads(run(capsys, "latest", "--json")[0])
    assert [line.split()[1] for line in lines[2:]] == [row["id"] for row in rows]


def test_one_life_is_shown_event_by_event(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=600)
    rows = json.loads(run(capsys, "latest", "--json")[0])
    position = next(row for row in rows if row["what"] == "position" and row["status"] == "closed")
    out = run(capsys, "latest", "--id", position["id"])[0]
    steps = json.loads(run(capsys, "latest", "--id", position["id"], "--json")[0])
    assert [int(line.split()[0]) for line in out.splitlines()[2:]] == [step["seq"] for step in steps]
    assert "POSITION_CLOSE" in out
    assert "closed_ms" in steps[-1]["changes"] or steps[-1]["what"] == "order"


def test_an_unknown_id_ends_with_2(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=50)
    _, err = run(capsys, "latest", "--id", "nobody", code=2)
    assert "'nobody'" in err
    assert "hint: " in err


def test_a_session_without_lives_says_so(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sink(library, "empty", MONDAY).close(Health())
    out, err = run(capsys, "empty")
    assert not out
    assert "no order and no position" in err
    assert run(capsys, "empty", "--json")[0] == "[]\n"


@pytest.mark.parametrize("name", ["BINANCE_DELIVERY.ws.1.0", "HUOBI_SWAP.ws.1.0"])
def test_a_feed_of_another_dialect_has_no_lives(
    name: str, captures: Path, library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not (captures / name).exists():
        pytest.skip(f"there is no {captures / name}: set WSREC_CAPTURES to a folder that holds it")
    import_file(ImportOptions(file=captures / name, library=library, name="real"))
    assert run(capsys, "real", "--json")[0] == "[]\n"
