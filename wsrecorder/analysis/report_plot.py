"""What the plots of a report are made of: the axis of time that they share, bars along it, texts that cannot bite.

A plot is what Plotly reads, traces and a layout: JSON values and no Plotly object, so that a page is made without
importing Plotly's Python side, and drawing is left to the browser. Colours are names of variables of
``page/report.css``, which ``page/report.js`` looks up: one page serves light and dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from typing import Any, Final

from wsrecorder.analysis.report_figures import Report

__all__ = ["TIME", "Plot", "TimeAxis", "bar_trace", "gap_words", "plain", "upright"]

TIME: Final = "%{x|%Y-%m-%d %H:%M:%S.%L}"
"""How Plotly's hover texts write the time."""

_MOST_MARKED_GAPS: Final = 100


@dataclass(frozen=True)
class Plot:
    """One plot of the page.

    Attributes:
        id: Of its element.
        title: Its heading.
        says: A sentence on what it shows.
        empty: What stands in its place when there is nothing to draw.
        traces: Plotly's traces; none when there is nothing to draw.
        layout: Plotly's layout.
    """

    id: str
    title: str
    says: str
    empty: str
    traces: list[dict[str, Any]] = field(default_factory=list)
    layout: dict[str, Any] = field(default_factory=dict)


class TimeAxis:
    """Puts session time on an axis of UTC, the same for all plots, with the gaps marked."""

    def __init__(self, report: Report) -> None:
        self._start_ms = datetime.fromisoformat(report.session.start).timestamp() * 1e3
        self._report = report

    def at(self, seconds: Iterable[float]) -> list[float]:
        """Return moments in ms since the epoch, as Plotly wants them."""
        return [round(self._start_ms + moment * 1e3, 3) for moment in seconds]

    def middle(self, seconds: Iterable[float]) -> list[float]:
        """Return the middle of the bins that begin there."""
        return self.at(moment + self._report.bin_s / 2 for moment in seconds)

    def layout(self, height_px: int, **own: Any) -> dict[str, Any]:
        """Return the layout of a plot over time; what is given is added to it."""
        end_s = max(self._report.span_s, self._report.bin_s)
        margin_s = end_s * 0.005
        axis = {
            "type": "date", "range": self.at((-margin_s, end_s + margin_s)), "title": {"text": "time (UTC)"},
            "hoverformat": "%Y-%m-%d %H:%M:%S.%L",
        }  # fmt: skip
        return {"height": height_px, "xaxis": axis, "shapes": list(self._gaps()), "hovermode": "x unified", **own}

    def _gaps(self) -> Iterator[dict[str, Any]]:
        longest = sorted(self._report.gaps.longest, key=lambda gap: gap.from_s - gap.to_s)[:_MOST_MARKED_GAPS]
        for gap in longest:
            x0, x1 = self.at((gap.from_s, gap.to_s))
            # The line keeps a short gap visible in a long session.
            yield {
                "type": "rect", "x0": x0, "x1": x1, "y0": 0, "y1": 1, "yref": "paper", "layer": "below",
                "fillcolor": "--gap", "line": {"width": 1, "color": "--gap-line"},
            }  # fmt: skip


def gap_words(report: Report) -> str:
    """Return what a plot says of the gaps that are marked in it."""
    return (
        "red stretches are gaps, in which frames may have been missed." if report.gaps.count else "there are no gaps."
    )


def bar_trace(
    name: str, color: str, times: TimeAxis, spans_s: list[tuple[float, float]], lanes: list[int], texts: list[str]
) -> dict[str, Any]:
    """Return a trace of bars along the axis of time, each in a row of its own or one that is free."""
    return {
        "type": "bar", "orientation": "h", "name": name, "y": lanes, "width": 0.78,
        "hovertext": texts, "hoverinfo": "text",
        "base": times.at(start for start, _ in spans_s), "x": [round((end - start) * 1e3, 3) for start, end in spans_s],
        # The outline keeps a bar visible that is narrower than a pixel.
        "marker": {"color": color, "line": {"width": 1, "color": color}}, "textposition": "none",
    }  # fmt: skip


def upright(title: str) -> dict[str, Any]:
    """Return an upright axis from zero on that stays as it is when time is zoomed."""
    return {"title": {"text": title}, "rangemode": "tozero", "fixedrange": True}


def plain(value: str, most: int = 60) -> str:
    """Return a text of the recording for Plotly, which reads tags in all its texts: no tags, no endless line."""
    short = value if len(value) <= most else value[: most - 1] + "…"
    return escape(short, quote=False)
