"""The plots of a report, in the order in which its page shows them."""

from __future__ import annotations

from wsrecorder.analysis.report_figures import Report
from wsrecorder.analysis.report_lives import connections_plot, lives_plot
from wsrecorder.analysis.report_plot import TIME, Plot, TimeAxis, gap_words, plain, upright
from wsrecorder.analysis.report_words import show_s

__all__ = ["plots"]


def plots(report: Report) -> list[Plot]:
    """Return the plots of a report, in the order in which the page shows them; empty ones too."""
    times = TimeAxis(report)
    return [
        _density(report, times),
        _latency(report, times),
        _spread(report),
        connections_plot(report, times),
        _engine(report, times),
        lives_plot(times, "orders", report.orders),
        lives_plot(times, "positions", report.positions),
    ]


def _density(report: Report, times: TimeAxis) -> Plot:
    width = show_s(report.bin_s)
    traces = [
        {
            "type": "bar", "name": _type_name(found.type, found.folded), "x": times.middle(report.density.at_s),
            "y": found.per_s, "width": report.bin_s * 1e3, "marker": {"color": _series(number, found.folded)},
            "hovertemplate": "%{y:,.4~g}/s",
        }
        for number, found in enumerate(report.density.types)
    ]  # fmt: skip
    return Plot(
        "density", "Events over time",
        f"Messages per second by type, in bins of {width}; {gap_words(report)}",
        "The session holds no message.", traces,
        times.layout(380, barmode="stack", bargap=0, showlegend=True, yaxis=upright("messages per second")),
    )  # fmt: skip


def _latency(report: Report, times: TimeAxis) -> Plot:
    found = report.latency
    says = (
        f"How much longer than the fastest message others took, in bins of {show_s(report.bin_s)}: the median, the "
        "99th percentile and the slowest. How long the fastest took, two clocks that differ cannot tell."
    )
    empty = "No message carries a time of the sender, so that there is no latency to tell."
    if found is None:
        return Plot("latency", "Latency over time", says, empty)
    over_time = found.over_time
    # A gap has no value, so that no line leads across it.
    breaks = [((gap.from_s + gap.to_s) / 2, len(over_time.at_s)) for gap in report.gaps.longest]
    points = sorted([*((at_s + report.bin_s / 2, number) for number, at_s in enumerate(over_time.at_s)), *breaks])
    moments = times.at(moment for moment, _ in points)
    rows = (
        ("slowest", over_time.max_ms, "--idle"),
        ("p99", over_time.p99_ms, "--s1"),
        ("p50", over_time.p50_ms, "--s0"),
    )
    traces = [
        {
            "type": "scatter", "mode": "lines+markers", "name": name, "x": moments,
            "y": [values[number] if number < len(values) else None for _, number in points],
            "line": {"width": 1.5, "color": color}, "marker": {"size": 3, "color": color},
            "hovertemplate": "%{y:,.3f} ms",
        }
        for name, values, color in rows
    ]  # fmt: skip
    return Plot(
        "latency", "Latency over time", says, empty, traces, times.layout(320, yaxis=upright("latency (ms)"))
    )  # fmt: skip


def _spread(report: Report) -> Plot:
    title = "Latency, distribution"
    says = "How many messages took how much longer than the fastest; the lines are percentiles."
    empty = "No message carries a time of the sender, so that there is no latency to tell."
    if report.latency is None:
        return Plot("spread", title, says, empty)
    spread, found = report.latency.spread, report.latency
    width_ms = (spread.to_ms - spread.from_ms) / len(spread.messages)
    middles = [spread.from_ms + (bar + 0.5) * width_ms for bar in range(len(spread.messages))]
    if spread.beyond:
        says += (
            f" Not drawn are {spread.beyond:,} beyond {spread.to_ms:,.3f} ms, the slowest of {found.max_ms:,.3f} ms."
        )
    trace = {
        "type": "bar", "x": middles, "y": spread.messages, "width": width_ms, "marker": {"color": "--s0"},
        "hovertemplate": "%{x:,.3f} ms: %{y:,} messages<extra></extra>",
    }  # fmt: skip
    marks = [(name, value) for name, value in (("p50", found.p50_ms), ("p99", found.p99_ms)) if value <= spread.to_ms]
    layout = {
        "height": 300, "bargap": 0, "yaxis": upright("messages"), "hovermode": "closest",
        "margin": {"t": 28, "r": 12, "l": 104, "b": 56},
        "xaxis": {"type": "linear", "title": {"text": "latency (ms)"}, "range": [spread.from_ms, spread.to_ms]},
        "shapes": [
            {
                "type": "line", "x0": value, "x1": value, "y0": 0, "y1": 1, "yref": "paper",
                "line": {"width": 1.5, "dash": "dot", "color": "--ink"},
            }
            for _, value in marks
        ],
        "annotations": [
            {
                "x": value, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False,
                "text": f"{name} {value:,.3f} ms",
                # Near an edge the text would be cut off there.
                "xanchor": _anchor((value - spread.from_ms) / (spread.to_ms - spread.from_ms)),
            }
            for name, value in marks
        ],
    }  # fmt: skip
    return Plot("spread", title, says, empty, [trace], layout)


def _anchor(place: float) -> str:
    return "left" if place < 0.1 else "right" if place > 0.9 else "center"


def _engine(report: Report, times: TimeAxis) -> Plot:
    found = report.engine
    says = (
        f"In which state the engine was: the stronger the colour, the larger its part of {show_s(report.bin_s)}"
        ". However short, a state leaves a mark."
    )
    empty = "The feed tells no states of an engine."
    if found is None:
        return Plot("engine", "Engine states", says, empty)
    trace = {
        "type": "heatmap", "x": times.middle(found.at_s), "y": [plain(each.state, 14) for each in found.states],
        # What did not occur is left blank, and the scale begins well above blank.
        "z": [[share or None for share in each.share] for each in found.states], "zmin": 0, "zmax": 1,
        "colorscale": [[0, "--low"], [1, "--high"]], "showscale": False, "ygap": 3,
        "hovertemplate": "%{y}: %{z:.1%} of the time at " + TIME + "<extra></extra>", "hoverongaps": False,
    }  # fmt: skip
    axis = {"type": "category", "autorange": "reversed", "fixedrange": True, "showgrid": False, "ticksuffix": " "}
    layout = times.layout(110 + 28 * len(found.states), yaxis=axis, hovermode="closest")
    return Plot("engine", "Engine states", says, empty, [trace], layout)


def _series(number: int, folded: int) -> str:
    return f"--s{9 if folded > 1 else number % 9}"


def _type_name(name: str | None, folded: int = 1) -> str:
    if folded > 1:
        return f"{folded:,} rarer types"
    return "no type" if name is None else plain(name)
