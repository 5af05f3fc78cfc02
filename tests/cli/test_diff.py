"""diff: what it prints, and how it ends."""

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


@pytest.fixture
def two(library: Path) -> None:
    """A session, and one whose backend names a field otherwise and takes no profit."""
    add_session(library, "before", messages=600)
    assert main(["export", "before", "--out", "before.jsonl"]) == 0
    lines = Path("before.jsonl").read_text().splitlines()
    changed = [line.replace('\\"fees\\"', '\\"fee\\"') for line in lines if '"type":"TAKE_PROFIT"' not in line]
    assert len(changed) < len(lines)
    Path("after.jsonl").write_text("\n".join(changed))
    assert main(["import", "after.jsonl", "--name", "after"]) == 0


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int) -> tuple[str, str]:
    capsys.readouterr()
    assert main(["diff", *arguments]) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.out, captured.err


def test_equal_sessions_end_with_0(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=200)
    out, err = run(capsys, "latest", "engine", code=0)
    assert not err
    assert out.splitlines()[5].split() == ["all", "200", "0", "0", "0", "0"]


@pytest.mark.usefixtures("two")
def test_what_differs_is_shown_and_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = run(capsys, "before", "after", "--limit", "3", code=1)
    assert "data.order.fees" in out
    assert "missing" in out
    assert "more differences; --limit shows more" in err
    assert len([line for line in out.splitlines() if line.startswith(("missing ", "changed "))]) == 3


@pytest.mark.usefixtures("two")
def test_json_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(run(capsys, "before", "after", "--json", "--limit", "2", code=1)[0])
    assert found["equal"] is False
    assert len(found["differences"]) == 2
    assert {path["path"] for path in found["paths"]} == {"data.order.fees", "data.order.fee"}
    assert found["counts"]["missing"] > 0
    absent = next(path for path in found["paths"] if path["path"] == "data.order.fee")
    assert "before" not in absent


@pytest.mark.usefixtures("two")
def test_what_is_ignored_makes_no_difference(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "before", "after", "--ignore", "fees,fee", "--exclude", "TAKE_PROFIT", code=0)
    paths = ["--ignore-path", "data.order.fees", "--ignore-path", "data.order.fee"]
    run(capsys, "before", "after", *paths, "--exclude", "TAKE_PROFIT", "--ignore-order", code=0)
    run(capsys, "before", "after", "--types", "SIGNAL", "--key", "data.signals.symbol", code=0)


@pytest.mark.usefixtures("two")
def test_lines_keep_to_the_width(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    out = run(capsys, "before", "after", code=1)[0]
    assert max(map(len, out.splitlines())) <= 90


def test_empty_sessions_are_equal(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sink(library, "empty", MONDAY).close(Health())
    assert "all" in run(capsys, "empty", "empty", code=0)[0]


def test_a_wrong_path_ends_with_2(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=20)
    assert "hint: " in run(capsys, "latest", "latest", "--ignore-path", "data.", code=2)[1]


def test_no_session_ends_with_4(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, messages=20)
    run(capsys, "latest", "nobody", code=4)


def test_many_paths_are_cut(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(library, "one", messages=300, seed=1)
    add_session(library, "other", messages=300, seed=2)
    assert "more paths; --json has them all" in run(capsys, "one", "other", code=1)[1]


@pytest.mark.parametrize("name", ["COINBASE.ws.28.0", "HUOBI_SWAP.ws.1.0"])
def test_any_feed_can_be_compared(name: str, captures: Path, library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not (captures / name).exists():
        pytest.skip(f"there is no {captures / name}: set WSREC_CAPTURES to a folder that holds it")
    import_file(ImportOptions(file=captures / name, library=library, name="real"))
    found = json.loads(run(capsys, "real", "real", "--json", code=0)[0])
    assert found["counts"]["same"] > 1_000
