"""How late the messages of a session were, how evenly they came, and when none came.

All figures come from the views ``latency``, ``heartbeats`` and ``clocks``, whatever the session's length in a few rows;
what a corrected latency can know and what it cannot stands in `wsrecorder.core.clock_offset`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from wsrecorder.analysis import latency_queries as ask

if TYPE_CHECKING:
    from wsrecorder.analysis.session import Session
    from wsrecorder.analysis.sql import Queries

__all__ = [
    "ClockFigures",
    "HeartbeatFigures",
    "LatencyFigures",
    "Percentiles",
    "Silence",
    "Slice",
    "TypeFigures",
    "measure_latency",
]

_MOST_SLICES: Final = 24
_NICE_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200)
_DAY_S: Final = 86_400
_STALL_S: Final = 35.0
"""A feed with a heartbeat each 30 s is silent no longer, with 5 s for the road."""


class Percentiles(msgspec.Struct, frozen=True):
    """How durations are spread, ms, None where there is none.

    Attributes:
        p50: Half are not longer.
        p90: Nine in ten are not longer.
        p99: 99 in 100 are not longer.
        p999: 999 in 1,000 are not longer.
        max: The longest.
    """

    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    p999: float | None = None
    max: float | None = None


class TypeFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The messages of one type, or all of them.

    Attributes:
        type: Their type; None for messages that have none.
        messages: How many came.
        measured: How many have a corrected latency; the others have no time stamp, or one that cannot be right.
        latency_ms: Time above the fastest message, clocks corrected.
        raw_ms: Received less sent, by two clocks.
        interval_ms: From one message to the next (of the type, on the same connection).
        jitter_ms: Mean of how much these intervals differ from those at the sender, which no offset of clocks changes
            (RFC 3550, section 6.4.1, without the smoothing).
    """

    type: str | None
    messages: int
    measured: int
    latency_ms: Percentiles
    raw_ms: Percentiles
    interval_ms: Percentiles
    jitter_ms: float | None


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """A slice of the session.

    Attributes:
        from_s: Where it begins, s since the session began.
        messages: How many came.
        latency_ms: As in `TypeFigures`.
    """

    from_s: int
    messages: int
    latency_ms: Percentiles


class ClockFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken off the raw delays.

    Attributes:
        offset_ms: Offset of the clocks and delay of the fastest message together, at the session's beginning, ms.
        skew_ppm: By how much it grows, µs a second.
        spread_ms: Between the lowest and the highest least delay of a second, ms.
        seconds: Seconds in which a message with a time stamp came.
        doubted: Of these, seconds left out, with stamps far off the others.
        backwards: Messages whose stamp is before that of the one before, on the same connection.
        most_backwards_ms: By how much at most, ms.
    """

    offset_ms: float
    skew_ppm: float
    spread_ms: float
    seconds: int
    doubted: int
    backwards: int
    most_backwards_ms: float


class HeartbeatFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How punctual the heartbeats were.

    Attributes:
        heartbeats: How many came.
        interval_ms: From one to the next, on the same connection.
        late_ms: How far the intervals are from the 30 s that are documented, either way.
        missed: Intervals in which at least one more was due.
    """

    heartbeats: int
    interval_ms: Percentiles
    late_ms: Percentiles
    missed: int


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which a connection was open and nothing came.

    Attributes:
        conn: The connection.
        from_s: When it began, s since the session began.
        to_s: When a message came again.
        lasted_ms: From one to the other, ms.
    """

    conn: int
    from_s: float
    to_s: float
    lasted_ms: float


class LatencyFigures(msgspec.Struct, frozen=True, kw_only=True):
    """All figures.

    Attributes:
        session: The session's id.
        clocks: What was taken off; None if no message had a time stamp.
        overall: All messages; ``type`` is None.
        by_type: Each type, the most frequent first.
        slice_s: Length of a slice, s.
        over_time: The session in slices, none missing.
        heartbeats: How punctual they were.
        stall_s: From which length on a silence counts as a stall, s.
        stalls: How many there were.
        longest_stalls: The ten longest, the longest first.
        longest_loop_stall_ms: Longest time that the recorder itself was held up; None while it records.
    """

    session: str
    clocks: ClockFigures | None
    overall: TypeFigures
    by_type: list[TypeFigures]
    slice_s: int
    over_time: list[Slice]
    heartbeats: HeartbeatFigures
    stall_s: float
    stalls: int
    longest_stalls: list[Silence]
    longest_loop_stall_ms: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def measure_latency(session: Session, *, slice_s: int | None = None, stall_s: float = _STALL_S) -> LatencyFigures:
    """Return the figures of a session, of one that is being recorded as it is now.

    Args:
        session: The session.
        slice_s: Length of a slice, s; None chooses one, for 24 slices at most.
        stall_s: From which length on a silence counts as a stall, s.

    Raises:
        SessionError: The session cannot be read.
    """
    from wsrecorder.analysis.sql import connect  # DuckDB: a tenth of a second that only its users should pay

    manifest = session.store.manifest()
    with connect([session.store]) as queries:
        stalls = _rows(queries, ask.stalls(stall_s))
        end_s = _rows(queries, ask.END)[0]["end_s"]
        width_s = slice_s or _slice_s(end_s)
        return LatencyFigures(
            session=manifest.identity.id,
            clocks=_clocks(queries, manifest.identity.started_ns),
            overall=_type_figures(_rows(queries, ask.OVERALL)[0]),
            by_type=[_type_figures(row) for row in _rows(queries, ask.BY_TYPE)],
            slice_s=width_s,
            over_time=_over_time(queries, end_s, width_s),
            heartbeats=_heartbeats(_rows(queries, ask.HEARTBEATS)[0]),
            stall_s=stall_s,
            stalls=stalls[0]["stalls"] if stalls else 0,
            longest_stalls=[
                Silence(conn=row["conn"], from_s=row["from_s"], to_s=row["to_s"], lasted_ms=row["lasted_ms"])
                for row in stalls
            ],
            longest_loop_stall_ms=manifest.health.longest_stall_ms if manifest.sealed else None,
        )


def _rows(queries: Queries, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = queries.query(sql).table().to_pylist()
    return rows


def _slice_s(end_s: float) -> int:
    """Return the shortest length that people count in of which 24 cover the session."""
    for length_s in _NICE_S:
        if end_s < length_s * _MOST_SLICES:
            return length_s
    return _DAY_S * (int(end_s) // (_DAY_S * _MOST_SLICES) + 1)


def _percentiles(row: dict[str, Any], name: str) -> Percentiles:
    cuts = row[f"{name}_cuts"]
    if cuts is None:
        return Percentiles()
    p50, p90, p99, p999, longest = (round(found, 3) for found in (*cuts, row[f"{name}_max"]))  # to the µs
    return Percentiles(p50=p50, p90=p90, p99=p99, p999=p999, max=longest)


def _type_figures(row: dict[str, Any]) -> TypeFigures:
    return TypeFigures(
        type=row["type"],
        messages=row["messages"],
        measured=row["measured"],
        latency_ms=_percentiles(row, "latency_ms"),
        raw_ms=_percentiles(row, "raw_ms"),
        interval_ms=_percentiles(row, "interval_ms"),
        jitter_ms=None if row["jitter_ms"] is None else round(row["jitter_ms"], 3),
    )


def _clocks(queries: Queries, started_ns: int) -> ClockFigures | None:
    rows = _rows(queries, "SELECT * EXCLUDE (session) FROM clocks")
    if not rows:
        return None
    found, backwards = rows[0], _rows(queries, ask.BACKWARDS)[0]
    return ClockFigures(
        offset_ms=(found["offset_us"] + started_ns // 1_000) / 1e3,
        skew_ppm=found["skew_ppm"],
        spread_ms=found["spread_ms"],
        seconds=found["seconds"],
        doubted=found["doubted"],
        backwards=backwards["backwards"],
        most_backwards_ms=backwards["most_backwards_ms"],
    )


def _over_time(queries: Queries, end_s: float, width_s: int) -> list[Slice]:
    found = {row["slice"]: row for row in _rows(queries, ask.over_time(width_s))}
    nothing = {"messages": 0, "latency_ms_cuts": None, "latency_ms_max": None}
    return [
        Slice(from_s=number * width_s, messages=row["messages"], latency_ms=_percentiles(row, "latency_ms"))
        for number in range(int(end_s // width_s) + 1 if found else 0)
        for row in [found.get(number, nothing)]
    ]


def _heartbeats(row: dict[str, Any]) -> HeartbeatFigures:
    return HeartbeatFigures(
        heartbeats=row["heartbeats"],
        interval_ms=_percentiles(row, "interval_ms"),
        late_ms=_percentiles(row, "late_ms"),
        missed=row["missed"],
    )
