"""A page of plots holds its figures, and no text of a recording becomes part of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.analysis.truths import START_MS, record_engine, record_payloads
from wsrecorder.analysis.latency import measure_latency
from wsrecorder.analysis.plots import latency_plots, render_plots
from wsrecorder.analysis.session import Session

pytest.importorskip("plotly", reason="pip install 'wsrecorder[report]'")


def drawn(page: str) -> list[dict[str, object]]:
    found = re.search(r'<script type="application/json" id="plots">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    plots: list[dict[str, object]] = json.loads(found[1])
    return plots


def test_the_plots_are_those_of_the_figures(tmp_path: Path) -> None:
    figures = measure_latency(Session(record_engine(tmp_path, cycles=300).store))
    plots = latency_plots(figures)
    assert [trace["name"] for trace in plots[0].traces] == ["p50", "p99", "longest"]
    assert plots[0].traces[2]["y"] == [piece.latency_ms.max for piece in figures.over_time]
    assert plots[1].traces[0]["name"] == figures.by_type[0].type
    for plot in plots:
        assert plot.title
        assert plot.says.endswith(".")
        assert all("ms" in plot.layout["yaxis"]["title"]["text"] for plot in plots)
    page = render_plots("Latency of x", plots)
    assert [plot["id"] for plot in drawn(page)] == ["plot-0", "plot-1"]
    assert "https://cdn" not in page.split("<script>")[0]


def test_a_type_cannot_become_part_of_the_page(tmp_path: Path) -> None:
    name = "</script><script>alert(1)</script>"
    store = record_payloads(tmp_path, [{"type": name, "ts": START_MS}] * 3)
    page = render_plots(name, latency_plots(measure_latency(Session(store))))
    assert "alert(1)</script>" not in page
    assert len(drawn(page)) == 2


def test_an_empty_session_has_a_page(tmp_path: Path) -> None:
    page = render_plots("nothing", latency_plots(measure_latency(Session(record_payloads(tmp_path, [])))))
    assert len(drawn(page)) == 2
