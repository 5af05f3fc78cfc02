"""The notebooks are kept as they were executed, and each plot explains itself. That they run, nbmake tests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
FIGURE = "application/vnd.plotly.v1+json"
_UNITS = re.compile(r"\((s|ms|%|USD|1/s)\)$")
_COUNTED = ("type of message", "state", "kind of order", "position", "trades closed")


def cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return found


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["01-latency", "02-event-history", "03-backtest"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_as_it_was_executed(path: Path) -> None:
    code = [cell for cell in cells(path) if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "execute_result", "display_data"}
    assert "stderr" not in {output.get("name") for output in outputs}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_plot_has_a_title_units_and_a_sentence(path: Path) -> None:
    before: dict[str, Any] = {}
    plots = 0
    for cell in cells(path):
        for output in cell.get("outputs", ()):
            if FIGURE not in output.get("data", {}):
                continue
            plots += 1
            layout = output["data"][FIGURE]["layout"]
            assert layout["title"]["text"]
            for axis in ("xaxis", "yaxis"):
                title = layout[axis]["title"]["text"]
                assert _UNITS.search(title) or title in _COUNTED, title
            assert before["cell_type"] == "markdown"
            assert "".join(before["source"]).rstrip().endswith(".")
        before = cell
    assert plots >= 2
