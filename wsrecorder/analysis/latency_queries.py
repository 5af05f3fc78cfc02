"""The queries of `wsrecorder.analysis.latency`, over the views of ``docs/sql.md``; each answers with a few rows."""

from __future__ import annotations

from typing import Final

__all__ = ["BACKWARDS", "BY_TYPE", "END", "HEARTBEATS", "OVERALL", "over_time", "stalls"]


def _spread(name: str) -> str:
    return f"quantile_cont({name}, [0.5, 0.9, 0.99, 0.999]) AS {name}_cuts, max({name}) AS {name}_max"


END: Final = "SELECT coalesce(max(elapsed_ns), 0) / 1e9 AS end_s FROM events"

# Intervals by our monotonic clock, at the sender by its stamps; the difference of the two is the change of the delay.
_FIGURES: Final = f"""
SELECT
    {{type}} AS type,
    count(*) AS messages,
    count(latency_ms) AS measured,
    {_spread("latency_ms")},
    {_spread("raw_ms")},
    {_spread("interval_ms")},
    avg(abs(interval_ms - sent_interval_ms)) AS jitter_ms
FROM (
    SELECT
        type,
        latency_ms,
        raw_ms,
        (elapsed_ns - lag(elapsed_ns) OVER before) / 1e6 AS interval_ms,
        (epoch_us(sent_at) - lag(epoch_us(sent_at)) OVER before) / 1e3 AS sent_interval_ms
    FROM latency
    WINDOW before AS (PARTITION BY {{stream}} ORDER BY seq)
)
"""
OVERALL: Final = _FIGURES.format(type="NULL::VARCHAR", stream="conn")
BY_TYPE: Final = _FIGURES.format(type="type", stream="conn, type") + "GROUP BY type ORDER BY messages DESC, type"

BACKWARDS: Final = """
SELECT count(*) AS backwards, coalesce(max(back_ms), 0) AS most_backwards_ms
FROM (
    SELECT (lag(epoch_us(sent_at)) OVER (PARTITION BY conn ORDER BY seq) - epoch_us(sent_at)) / 1e3 AS back_ms
    FROM events WHERE kind = 'message' AND direction = 'in' AND sent_at IS NOT NULL
)
WHERE back_ms > 0
"""

HEARTBEATS: Final = f"""
SELECT
    count(*) AS heartbeats,
    {_spread("interval_ms")},
    {_spread("late_ms")},
    count(*) FILTER (interval_ms >= 60_000) AS missed
FROM (SELECT interval_ms, abs(late_ms) AS late_ms FROM heartbeats)
"""


def over_time(slice_s: int) -> str:
    """Return the query for latencies by slices of that many seconds; those without a message are not there."""
    return f"""
SELECT elapsed_ns // {slice_s * 1_000_000_000} AS slice, count(*) AS messages, {_spread("latency_ms")}
FROM latency GROUP BY slice
"""


def stalls(stall_s: float) -> str:
    """Return the query for the ten longest silences of that many seconds or more, and how many there were."""
    return f"""
SELECT conn, from_ns / 1e9 AS from_s, elapsed_ns / 1e9 AS to_s, lasted_ms, count(*) OVER () AS stalls
FROM (
    SELECT
        conn,
        elapsed_ns,
        lag(elapsed_ns) OVER (PARTITION BY conn ORDER BY seq) AS from_ns,
        (elapsed_ns - from_ns) / 1e6 AS lasted_ms
    FROM events WHERE kind IN ('open', 'close') OR (kind = 'message' AND direction = 'in')
)
WHERE lasted_ms >= {stall_s * 1e3!r}
ORDER BY lasted_ms DESC, from_ns LIMIT 10
"""
