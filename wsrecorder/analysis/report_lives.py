"""Plots of what lasts: connections, orders and positions as bars over time."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from wsrecorder.analysis.report_figures import Bar, Bars, Report
from wsrecorder.analysis.report_plot import TIME, Plot, TimeAxis, bar_trace, gap_words, plain
from wsrecorder.analysis.report_words import show_s

__all__ = ["connections_plot", "lives_plot"]

_MOST_ROWS: Final = 12
_OUTCOMES: Final = {
    "filled": "--good", "won": "--good", "canceled": "--idle", "rejected": "--bad", "lost": "--bad", "even": "--idle",
    "open": "--s0",
}  # fmt: skip


def connections_plot(report: Report, times: TimeAxis) -> Plot:
    """Return the connections of a session as bars."""
    says = f"Each connection as a bar, until it was closed; {gap_words(report)}"
    found = report.connections
    if len(found) < report.session.connections:
        says += f" Of {report.session.connections:,} the {len(found):,} longest are drawn."
    lanes = _packed([(each.from_s, each.to_s) for each in found])
    trace = bar_trace(
        "connections", "--s3", times, [(each.from_s, each.to_s) for each in found], [-lane for lane in lanes],
        [
            f"connection {each.conn}: {each.messages:,} messages in {show_s(each.to_s - each.from_s)}"
            + (f"<br>closed: {plain(each.why or '')} ({each.code})" if each.code is not None else "")
            for each in found
        ],
    )  # fmt: skip
    rows = max(lanes, default=0) + 1
    axis = {
        "showticklabels": False,
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
        "range": [0.6 - rows, 0.6],
    }
    layout = times.layout(min(110 + 22 * rows, 400), yaxis=axis, hovermode="closest", showlegend=False)
    return Plot(
        "connections", "Connections and gaps", says, "No connection was recorded.", [trace] if found else [], layout
    )


def lives_plot(times: TimeAxis, what: str, found: Bars | None) -> Plot:
    """Return orders or positions as bars, and above them how many were open at once."""
    title, empty = what.capitalize(), f"The feed tells of no {what}."
    says = (
        f"Each of the {what} as a bar from its beginning to its end, by symbol; above it, how many were open at once."
    )
    if found is None:
        return Plot(what, title, says, empty)
    count = sum(found.outcomes.values())
    if len(found.longest) < count:
        says += f" Of {count:,} the {len(found.longest):,} longest are drawn as bars; the line above counts them all."
    lanes, labels = _lanes(found.longest)
    by_outcome: dict[str, list[tuple[Bar, int]]] = defaultdict(list)
    for bar, lane in zip(found.longest, lanes, strict=True):
        by_outcome[bar.outcome].append((bar, lane))
    traces = [
        bar_trace(
            f"{plain(outcome)} ({found.outcomes[outcome]:,})", _OUTCOMES.get(outcome, "--s9"), times,
            [(bar.from_s, bar.to_s) for bar, _ in drawn], [-lane for _, lane in drawn],
            [_life(bar) for bar, _ in drawn],
        )
        for outcome, drawn in by_outcome.items()
    ]  # fmt: skip
    traces.append({
        "type": "scatter", "mode": "lines", "name": "open at once", "x": times.at(found.at_s), "y": found.open,
        "yaxis": "y2", "line": {"shape": "hv", "width": 1.5, "color": "--s0"}, "fill": "tozeroy", "showlegend": False,
        "hovertemplate": "%{y:,} open at " + TIME + "<extra></extra>",
    })  # fmt: skip
    rows = max(lanes, default=0) + 1
    places = list(labels)
    layout = times.layout(
        min(230 + 11 * rows, 620), hovermode="closest", barmode="overlay",
        yaxis={
            "domain": [0, 0.76], "range": [0.7 - rows, 0.7], "fixedrange": True, "showgrid": False, "zeroline": False,
            "tickvals": [-place for place in places], "ticktext": [plain(labels[place], 14) for place in places],
            "ticksuffix": " ",
        },
        yaxis2={"domain": [0.82, 1], "rangemode": "tozero", "nticks": 3, "fixedrange": True, "title": {"text": "open"}},
    )  # fmt: skip
    return Plot(what, title, says, empty, traces, layout)


def _life(bar: Bar) -> str:
    parts = [bar.side or "", bar.symbol or "", bar.outcome, show_s(bar.to_s - bar.from_s)]
    if bar.pnl_usd is not None:
        parts.append(f"{bar.pnl_usd:+,.2f} USD")
    return f"{plain(bar.id)}<br>{plain(' · '.join(part for part in parts if part))}"


def _lanes(bars: list[Bar]) -> tuple[list[int], dict[float, str]]:
    """Return a row for each bar, so that none hides another, and where the names of the symbols stand.

    Symbols have rows of their own as long as there are few of them; else the rows are shared and have no name.
    """
    symbols = sorted({bar.symbol or "no symbol" for bar in bars})
    if len(symbols) > _MOST_ROWS:
        return _packed([(bar.from_s, bar.to_s) for bar in bars]), {}
    lanes = [0] * len(bars)
    labels: dict[float, str] = {}
    first = 0
    for symbol in symbols:
        own = [number for number, bar in enumerate(bars) if (bar.symbol or "no symbol") == symbol]
        packed = _packed([(bars[number].from_s, bars[number].to_s) for number in own])
        for number, lane in zip(own, packed, strict=True):
            lanes[number] = first + lane
        last = first + max(packed)
        labels[(first + last) / 2] = symbol
        first = last + 1
    return lanes, labels


def _packed(spans_s: list[tuple[float, float]]) -> list[int]:
    """Return for each span the first row that is free; spans come in the order of their beginnings."""
    free_s: list[float] = []
    rows = []
    for start, end in spans_s:
        row = next((row for row, moment in enumerate(free_s) if moment <= start), len(free_s))
        free_s[row : row + 1] = [end]
        rows.append(row)
    return rows
