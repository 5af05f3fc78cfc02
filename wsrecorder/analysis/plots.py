"""A page of plots that needs no network: Plotly's script inlined, what is drawn as JSON.

Texts of a recording reach the page as JSON in a script of its own, in which no ``<`` stands as such, so none of them
can become part of the page.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import import_module
from typing import Any, Final

from wsrecorder.analysis.latency import LatencyFigures, Percentiles
from wsrecorder.analysis.report_page import check_plotly
from wsrecorder.analysis.report_plot import plain

__all__ = ["Figure", "latency_plots", "render_plots"]

_SCRIPT_SAFE: Final = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}
_MOST_TYPES: Final = 12
_CUTS: Final = ("p50", "p90", "p99", "p999", "max")

_STYLE: Final = (
    "body{font:15px system-ui,sans-serif;margin:2rem auto;max-width:1100px;padding:0 1rem;color:#222;background:#fff}"
    "h1{font-size:1.4rem}h2{font-size:1.1rem;margin:2rem 0 .2rem}p{margin:.2rem 0;color:#555}"
)
_DRAW: Final = (
    "for (const plot of JSON.parse(document.getElementById('plots').textContent))"
    " Plotly.newPlot(plot.id, plot.traces, plot.layout, {responsive: true, displaylogo: false});"
)


@dataclass(frozen=True)
class Figure:
    """One plot of a page.

    Attributes:
        title: Its heading.
        says: A sentence on what it shows.
        traces: Plotly's traces, JSON values.
        layout: Plotly's layout, JSON values.
    """

    title: str
    says: str
    traces: list[dict[str, Any]]
    layout: dict[str, Any]


def render_plots(title: str, figures: Sequence[Figure]) -> str:
    """Return an HTML page that holds some plots.

    Args:
        title: Heading of the page.
        figures: The plots, in order.

    Raises:
        UsageError: Plotly is not installed.
    """
    check_plotly()
    # Nothing but such pages needs it, and it is large. It carries no types, so it is looked up by name.
    plotly: str = import_module("plotly.offline").get_plotlyjs()
    drawn: list[dict[str, Any]] = [
        {"id": f"plot-{number}", "traces": figure.traces, "layout": {"height": 420, **figure.layout}}
        for number, figure in enumerate(figures)
    ]
    content = json.dumps(drawn, allow_nan=False).translate(_SCRIPT_SAFE)
    sections = "".join(
        f'<h2>{escape(figure.title)}</h2>\n<p>{escape(figure.says)}</p>\n<div id="plot-{number}"></div>\n'
        for number, figure in enumerate(figures)
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{sections}<script type="application/json" id="plots">{content}</script>
<script>{plotly}</script>
<script>{_DRAW}</script>
</body>
</html>
"""


def latency_plots(found: LatencyFigures) -> list[Figure]:
    """Return the plots of a session's latency: over time, and as percentiles by type."""
    seconds = [piece.from_s for piece in found.over_time]
    over_time = [
        _line(name, seconds, [getattr(piece.latency_ms, cut) for piece in found.over_time])
        for name, cut in (("p50", "p50"), ("p99", "p99"), ("longest", "max"))
    ]
    by_type = [
        _line(plain(kind.type or "(no type)"), ["p50", "p90", "p99", "p99.9", "max"], _values(kind.latency_ms))
        for kind in found.by_type[:_MOST_TYPES]
    ]
    return [
        Figure(
            "Latency over time",
            f"Time above the fastest message, clocks corrected, in slices of {found.slice_s} s.",
            over_time,
            {"xaxis": _axis("time since the session began, s"), "yaxis": _axis("latency, ms", rangemode="tozero")},
        ),
        Figure(
            "Latency by type",
            f"Percentiles of the {len(by_type)} most frequent types; the scale is logarithmic.",
            by_type,
            {"xaxis": _axis("percentile", type="category"), "yaxis": _axis("latency, ms", type="log")},
        ),
    ]


def _line(name: str, x: Sequence[Any], y: Sequence[float | None]) -> dict[str, Any]:
    return {"type": "scatter", "mode": "lines+markers", "name": name, "x": list(x), "y": list(y)}


def _values(spread: Percentiles) -> list[float | None]:
    # A logarithm of zero is nowhere, and the fastest message is at zero.
    return [getattr(spread, cut) or None for cut in _CUTS]


def _axis(title: str, **more: Any) -> dict[str, Any]:
    return {"title": {"text": title}, **more}
