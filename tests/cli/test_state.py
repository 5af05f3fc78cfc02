"""state: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs.example import MONDAY, add_session, sink
from wsrecorder.cli import main
from wsrecorder.jobs.convert import ImportOptions, import_file
from wsrecorder.store.manifest import Health


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, where ./recordings is the library."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    return tmp_path


@pytest.fixture
def library(here: Path) -> Path:
    return here / "recordings"


def out(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["state", *arguments]) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.out if code == 0 else captured.err


def test_the_end_is_shown(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=300)
    found = out(capsys, "latest").splitlines()
    assert found[0].split() == ["session", "20261123T191500Z-engine"]
    assert [line.split()[0] for line in found if line[:1].isalpha()] == [
        "session", "moment", "engine", "orders", "positions", "scan",
    ]  # fmt: skip


def test_json_has_the_same_state(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=600)
    found = json.loads(out(capsys, "latest", "--at", "20s", "--json"))
    assert found["elapsed_ns"] == 20_000_000_000
    assert found["at"] == "2026-11-23T19:15:20+00:00"
    shown = out(capsys, "latest", "--at", "20s")
    for order in found["orders"]:
        assert order["id"] in shown
    for position in found["positions"]:
        assert position["id"] in shown
    assert found["engine"]["state"] in shown


def test_lines_keep_to_the_width(
    library: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_session(library, messages=600)
    monkeypatch.setenv("COLUMNS", "80")
    tables = [line for line in out(capsys, "latest", "--at", "20s").splitlines() if line.startswith("  ")]
    assert tables
    assert max(map(len, tables)) <= 80


def test_an_empty_session_has_an_empty_state(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sink(library, "empty", MONDAY).close(Health())
    found = out(capsys, "empty").splitlines()
    assert found[2:] == ["engine     not known", "orders     0 open", "positions  0 open", "scan       none yet"]


@pytest.mark.parametrize("at", ["1h", "-1h", "never"])
def test_a_moment_that_is_none_ends_with_2(library: Path, capsys: pytest.CaptureFixture[str], at: str) -> None:
    add_session(library, messages=50)
    assert "hint: " in out(capsys, "latest", "--at", at, code=2)


def test_no_session_ends_with_4(capsys: pytest.CaptureFixture[str]) -> None:
    out(capsys, "latest", code=4)


@pytest.mark.parametrize("name", ["COINBASE.ws.28.0", "HUOBI_SWAP.ws.1.0"])
def test_a_feed_of_another_dialect_is_honestly_empty(
    name: str, captures: Path, library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not (captures / name).exists():
        pytest.skip(f"there is no {captures / name}: set WSREC_CAPTURES to a folder that holds it")
    import_file(ImportOptions(file=captures / name, library=library, name="real"))
    found = json.loads(out(capsys, "real", "--json"))
    assert found["engine"]["state"] is None
    assert found["orders"] == found["positions"] == []
