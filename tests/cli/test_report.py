"""wsrec report: where the page goes, what --json gives, what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from docs.example import add_crashed, add_session
from wsrecorder.cli import main


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    add_session(tmp_path / "recordings")
    return tmp_path / "recordings"


def test_page_is_named_after_its_session(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "latest"]) == 0
    [page] = library.parent.glob("*.html")
    assert page.name == "20261123T191500Z-engine.html"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert page.name in printed.err


def test_json_is_the_figures_and_makes_no_page(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "latest", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["session"]["name"] == "engine"
    assert sum(each["messages"] for each in found["density"]["types"]) == 400
    assert not list(library.parent.glob("*.html"))


def test_json_and_a_page_can_be_had_together(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "latest", "--json", "-o", "both.html"]) == 0
    assert json.loads(capsys.readouterr().out)["orders"]
    assert (library.parent / "both.html").exists()


def test_session_that_was_cut_has_a_page(library: Path) -> None:
    add_crashed(library)
    assert main(["report", "crash", "-o", "cut.html"]) == 0
    assert "wsrec recover" in (library.parent / "cut.html").read_text(encoding="utf-8")


def test_file_that_is_there_stays_until_told_otherwise(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = library.parent / "page.html"
    page.write_text("mine")
    assert main(["report", "latest", "-o", "page.html"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert page.read_text() == "mine"
    assert main(["report", "latest", "-o", "page.html", "--overwrite"]) == 0
    assert page.stat().st_size > 1_000_000


@pytest.mark.parametrize(
    ("place", "said"), [("nowhere/page.html", "there is no folder"), (".", "is a folder, expected a file")]
)
def test_place_that_cannot_be_is_refused(
    library: Path, capsys: pytest.CaptureFixture[str], place: str, said: str
) -> None:
    assert main(["report", "latest", "-o", place]) == 2
    assert said in capsys.readouterr().err


def test_page_never_goes_into_a_session(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [folder] = library.iterdir()
    assert main(["report", "latest", "-o", str(folder / "page.html")]) == 2
    assert "is part of the session" in capsys.readouterr().err
    assert not (folder / "page.html").exists()


def test_session_that_is_not_there_is_said(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "nobody"]) == 4
    assert "nobody" in capsys.readouterr().err


def test_without_plotly_the_extra_is_named_and_json_works(
    library: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "plotly"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "plotly", None)  # what Python takes for "not installed"
    assert main(["report", "latest"]) == 2
    assert "wsrecorder[report]" in capsys.readouterr().err
    assert not list(library.parent.glob("*.html"))
    assert main(["report", "latest", "--json"]) == 0
