"""What a report of a session says: every figure is made in SQL and bounded, however long the session.

Time is cut into at most `MOST_BINS` bins of equal, round width. What is drawn one by one (orders, positions,
connections, gaps) is listed up to `MOST_BARS`, the longest first, beside a count of them all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import groupby
from string import Template
from typing import Any, Final

from wsrecorder.analysis.report_figures import (
    Bar,
    Bars,
    Connection,
    Density,
    EngineState,
    EngineStates,
    Gap,
    Gaps,
    Latency,
    LatencyOverTime,
    Report,
    Spread,
    TypeDensity,
    TypeLatency,
)
from wsrecorder.analysis.report_queries import (
    CONNECTIONS,
    DENSITY,
    ENGINE,
    GAPS,
    LATENCY,
    LATENCY_BY_TYPE,
    LATENCY_OVER_TIME,
    LATENCY_SPREAD,
    LIVES,
    LONGEST_GAPS,
    ORDERS,
    POSITIONS,
    SPAN,
)
from wsrecorder.analysis.session import Session
from wsrecorder.analysis.sql import Queries, connect

__all__ = ["MOST_BARS", "MOST_BINS", "MOST_LISTED_TYPES", "MOST_TYPES", "SPREAD_BARS", "make_report"]

MOST_BINS: Final = 300
MOST_BARS: Final = 1_000
MOST_TYPES: Final = 9
MOST_LISTED_TYPES: Final = 50
SPREAD_BARS: Final = 100

_WIDTHS_S: Final = tuple(
    [factor * 10.0**power for power in range(-3, 1) for factor in (1, 2, 5)]
    + [10.0, 15.0, 30.0]
    + [minutes * 60.0 for minutes in (1, 2, 5, 10, 15, 30)]
    + [hours * 3_600.0 for hours in (1, 2, 3, 6, 12, 24, 48, 7 * 24, 28 * 24)]
)
"""Widths of bins that read well: 1 ms to 28 days."""


def make_report(session: Session) -> Report:
    """Return the figures of a session as it is now, sealed or still being recorded.

    Raises:
        SessionError: The session cannot be read.
    """
    info = session.info
    with connect([session.store]) as queries:
        found = _Figures(queries)
        return Report(
            session=info,
            span_s=found.span_s,
            bin_s=found.width_ns / 1e9,
            density=found.density(),
            latency=found.latency(),
            connections=found.connections(),
            gaps=found.gaps(),
            engine=found.engine(),
            orders=found.bars(ORDERS),
            positions=found.bars(POSITIONS),
        )


class _Figures:
    """Asks one session for its figures."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self.width_ns = self._span_ns = 0
        self._span_ns = self._rows(SPAN)[0]["span_ns"]
        self.span_s = self._span_ns / 1e9
        width_s = next((width for width in _WIDTHS_S if self.span_s < width * MOST_BINS), self.span_s / MOST_BINS)
        self.width_ns = math.ceil(width_s * 1e9)
        self._bins = self._span_ns // self.width_ns + 1

    def density(self) -> Density:
        bin_s = self.width_ns / 1e9
        types = []
        for _, group in groupby(self._rows(DENSITY), key=lambda row: row["place"]):
            rows = list(group)
            counts = {row["bin"]: row["n"] for row in rows}
            per_s = [round(counts.get(number, 0) / bin_s, 6) for number in range(self._bins)]
            messages = sum(counts.values())
            folded = rows[0]["folded"]
            types.append(TypeDensity(type=rows[0]["type"], folded=folded, messages=messages, per_s=per_s))
        return Density(at_s=self._at_s(range(self._bins)), types=types)

    def latency(self) -> Latency | None:
        whole = self._rows(LATENCY)[0]
        if not whole["messages"]:
            return None
        from_ms, to_ms = whole.pop("from_ms"), whole.pop("to_ms")
        bins = self._rows(LATENCY_OVER_TIME)
        return Latency(
            **whole,
            over_time=LatencyOverTime(
                at_s=self._at_s(row["bin"] for row in bins),
                **{name: [row[name] for row in bins] for name in ("p50_ms", "p99_ms", "max_ms")},
            ),
            spread=self._spread(from_ms, to_ms),
            types=[TypeLatency(**row) for row in self._rows(LATENCY_BY_TYPE)],
        )

    def _spread(self, from_ms: float, to_ms: float) -> Spread:
        width_ms = (to_ms - from_ms) / SPREAD_BARS or 0.001  # all equally fast
        rows = self._rows(LATENCY_SPREAD, from_ms=from_ms, width_ms=width_ms)
        counts = {row["bar"]: row["n"] for row in rows}
        return Spread(
            from_ms=from_ms,
            to_ms=from_ms + SPREAD_BARS * width_ms,
            messages=[counts.get(bar, 0) for bar in range(SPREAD_BARS)],
            beyond=counts.get(SPREAD_BARS, 0),
        )

    def connections(self) -> list[Connection]:
        return [Connection(**row) for row in self._rows(CONNECTIONS)]

    def gaps(self) -> Gaps:
        return Gaps(**self._rows(GAPS)[0], longest=[Gap(**row) for row in self._rows(LONGEST_GAPS)])

    def engine(self) -> EngineStates | None:
        states = []
        for _, group in groupby(self._rows(ENGINE), key=lambda row: row["state"]):
            rows = list(group)
            shares = {row["bin"]: row["share"] for row in rows}
            share = [round(shares.get(number, 0.0), 6) for number in range(self._bins)]
            state, entered, total_s = (rows[0][name] for name in ("state", "entered", "total_s"))
            states.append(EngineState(state=state, entered=entered, total_s=total_s, share=share))
        return EngineStates(at_s=self._at_s(range(self._bins)), states=states) if states else None

    def bars(self, lives: str) -> Bars | None:
        parts: dict[str, list[dict[str, Any]]] = {"outcome": [], "bar": [], "bin": []}
        for row in self._rows(LIVES, lives=lives):
            parts[row["part"]].append(row)
        if not parts["bar"]:
            return None
        return Bars(
            outcomes={row["outcome"]: row["n"] for row in parts["outcome"]},
            longest=[Bar(**{name: row[name] for name in Bar.__struct_fields__}) for row in parts["bar"]],
            at_s=self._at_s(range(self._bins)),
            open=list(self._most_open({row["bin"]: row for row in parts["bin"]})),
        )

    def _most_open(self, found: dict[int, dict[str, int]]) -> Iterator[int]:
        """Yield how many were open at once in each bin, at most; nothing changed in bins that are not there."""
        left_open = 0
        for number in range(self._bins):
            row = found.get(number)
            yield max(left_open, row["most"]) if row else left_open
            left_open = row["left_open"] if row else left_open

    def _at_s(self, bins: Iterable[int]) -> list[float]:
        return [number * self.width_ns / 1e9 for number in bins]

    def _rows(self, query: str, **more: object) -> list[dict[str, Any]]:
        """Return the rows of a query, in which ``$width_ns`` and the like stand for their values."""
        values = {
            "width_ns": self.width_ns, "span_ns": self._span_ns, "bars": MOST_BARS, "types": MOST_TYPES,
            "listed_types": MOST_LISTED_TYPES, "spread_bars": SPREAD_BARS,
        }  # fmt: skip
        inserted = Template(query).safe_substitute(more)  # what is put in has such names of its own
        table = self._queries.query(Template(inserted).substitute(values)).table()
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows
