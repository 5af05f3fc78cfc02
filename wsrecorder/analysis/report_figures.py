"""The figures of a report: plain values, ready for JSON. `wsrecorder.analysis.report` makes them.

Times are seconds since the session began. A list ``at_s`` holds the beginnings of the bins that its neighbours count.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wsrecorder.analysis.session import SessionInfo

__all__ = [
    "Bar",
    "Bars",
    "Connection",
    "Density",
    "EngineState",
    "EngineStates",
    "Gap",
    "Gaps",
    "Latency",
    "LatencyOverTime",
    "Report",
    "Spread",
    "TypeDensity",
    "TypeLatency",
]


class TypeDensity(msgspec.Struct, frozen=True, kw_only=True):
    """How often one type of message came.

    Attributes:
        type: The type; None for messages without one.
        folded: How many types this stands for: 1, or the rare ones that are shown as one, and then `type` is None.
        messages: How many there are in all.
        per_s: Messages per second in each bin.
    """

    type: str | None
    folded: int
    messages: int
    per_s: list[float]


class Density(msgspec.Struct, frozen=True, kw_only=True):
    """Messages over time by type, the most frequent type first.

    Attributes:
        at_s: Where each bin begins; none is missing.
        types: The types.
    """

    at_s: list[float]
    types: list[TypeDensity]


class LatencyOverTime(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles of the latency in each bin that has messages with a time of the sender.

    Attributes:
        at_s: Where each such bin begins.
        p50_ms: Half of its messages were faster.
        p99_ms: 99 in 100 were faster.
        max_ms: The slowest.
    """

    at_s: list[float]
    p50_ms: list[float]
    p99_ms: list[float]
    max_ms: list[float]


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """How the latencies are distributed; what is beyond `to_ms` is only counted.

    Attributes:
        from_ms: Where the first bar begins: the least latency.
        to_ms: Where the last bar ends.
        messages: Messages in each bar; all bars are equally wide.
        beyond: Messages that took longer than the last bar shows.
    """

    from_ms: float
    to_ms: float
    messages: list[int]
    beyond: int


class TypeLatency(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles of the latency of one type of message; None stands for messages without a type."""

    type: str | None
    messages: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How much longer messages took than the fastest, as the view ``latency`` has it.

    Attributes:
        messages: How many carry a time of the sender that can be right.
        doubted: How many carry one that cannot: it lies before the fastest message.
        least_raw_ms: Received less sent of the fastest message by the two clocks: their offset and its delay, which
            nothing here can tell apart.
        p50_ms: Half were faster.
        p99_ms: 99 in 100 were faster.
        max_ms: The slowest.
        over_time: Percentiles by bin.
        spread: The distribution.
        types: Percentiles by type, of the most frequent types.
    """

    messages: int
    doubted: int
    least_raw_ms: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    over_time: LatencyOverTime
    spread: Spread
    types: list[TypeLatency]


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection of the session.

    Attributes:
        conn: Its number, from 0 on.
        from_s: When it was opened.
        to_s: When it was closed, or the end of the session.
        messages: Its frames.
        code: Close code, or None.
        why: What ended it, or None.
    """

    conn: int
    from_s: float
    to_s: float
    messages: int
    code: int | None
    why: str | None


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which frames may have been missed, and why."""

    from_s: float
    to_s: float
    cause: str


class Gaps(msgspec.Struct, frozen=True, kw_only=True):
    """The gaps of a session.

    Attributes:
        count: How many there are.
        total_s: How long they are together.
        longest: The longest of them, in order of time.
    """

    count: int
    total_s: float
    longest: list[Gap]


class EngineState(msgspec.Struct, frozen=True, kw_only=True):
    """A state of the engine.

    Attributes:
        state: Its name.
        entered: How often it was entered.
        total_s: How long it lasted in all.
        share: Which part of each bin it took, 0 to 1.
    """

    state: str
    entered: int
    total_s: float
    share: list[float]


class EngineStates(msgspec.Struct, frozen=True, kw_only=True):
    """The states of the engine over time, in the order of their first appearance."""

    at_s: list[float]
    states: list[EngineState]


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """The life of an order or a position.

    Attributes:
        id: Which one.
        symbol: What was traded, or None.
        side: ``buy``, ``sell``, ``long``, ``short`` …, or None.
        outcome: What became of it: ``filled``, ``won``, ``open`` …
        from_s: When it was first heard of.
        to_s: When it ended, or the end of the session.
        pnl_usd: Profit of a position, or None.
    """

    id: str
    symbol: str | None
    side: str | None
    outcome: str
    from_s: float
    to_s: float
    pnl_usd: float | None = None


class Bars(msgspec.Struct, frozen=True, kw_only=True):
    """Orders or positions over time.

    Attributes:
        outcomes: How many came to which end, all of them.
        longest: The longest lived, in order of time.
        at_s: Where each bin begins.
        open: How many were open at the end of each bin, all of them.
    """

    outcomes: dict[str, int]
    longest: list[Bar]
    at_s: list[float]
    open: list[int]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that a report of a session says.

    Attributes:
        session: Its facts.
        span_s: How long it is, up to its last event.
        bin_s: How wide the bins of time are.
        density: Messages over time by type.
        latency: None where no message carries a time of the sender.
        connections: The longest connections, in order of time.
        gaps: Times in which frames may have been missed.
        engine: None where the feed tells no states of an engine.
        orders: None where the feed tells of none.
        positions: None where the feed tells of none.
    """

    session: SessionInfo
    span_s: float
    bin_s: float
    density: Density
    latency: Latency | None
    connections: list[Connection]
    gaps: Gaps
    engine: EngineStates | None
    orders: Bars | None
    positions: Bars | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found
