"""The queries of a report, over the views of ``docs/sql.md``; values stand for the names after ``$``.

Each answers with no more rows than a plot has points, whatever the length of the session.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "CONNECTIONS",
    "DENSITY",
    "ENGINE",
    "GAPS",
    "LATENCY",
    "LATENCY_BY_TYPE",
    "LATENCY_OVER_TIME",
    "LATENCY_SPREAD",
    "LIVES",
    "LONGEST_GAPS",
    "ORDERS",
    "POSITIONS",
    "SPAN",
]

SPAN: Final = "SELECT coalesce(max(elapsed_ns), 0) AS span_ns FROM events"

DENSITY: Final = """
WITH counted AS (
    SELECT type, elapsed_ns // $width_ns AS bin, count(*) AS n FROM events WHERE kind = 'message' GROUP BY ALL
), totals AS (
    SELECT type, row_number() OVER (ORDER BY sum(n) DESC, type) AS place FROM counted GROUP BY type
), folded AS (
    -- The last place is shared by all the types for which there is no other.
    SELECT type, least(place, $types) AS place, count(*) OVER (PARTITION BY least(place, $types)) AS folded FROM totals
)
SELECT place, if(folded = 1, any_value(folded.type), NULL) AS type, folded, bin, sum(n)::BIGINT AS n
FROM counted JOIN folded ON counted.type IS NOT DISTINCT FROM folded.type
GROUP BY place, folded, bin ORDER BY place, bin
"""

LATENCY: Final = """
SELECT count(latency_ms) AS messages, count(sent_at) - count(latency_ms) AS doubted,
    min(raw_ms) FILTER (latency_ms IS NOT NULL) AS least_raw_ms,
    quantile_cont(latency_ms, 0.5) AS p50_ms, quantile_cont(latency_ms, 0.99) AS p99_ms, max(latency_ms) AS max_ms,
    -- Where the distribution is drawn: the very slowest would press all others into one bar.
    min(latency_ms) AS from_ms, quantile_cont(latency_ms, 0.995) AS to_ms
FROM latency
"""

LATENCY_OVER_TIME: Final = """
SELECT elapsed_ns // $width_ns AS bin, quantile_cont(latency_ms, 0.5) AS p50_ms,
    quantile_cont(latency_ms, 0.99) AS p99_ms, max(latency_ms) AS max_ms
FROM latency WHERE latency_ms IS NOT NULL GROUP BY bin ORDER BY bin
"""

LATENCY_BY_TYPE: Final = """
SELECT type, count(*) AS messages, quantile_cont(latency_ms, 0.5) AS p50_ms, quantile_cont(latency_ms, 0.9) AS p90_ms,
    quantile_cont(latency_ms, 0.99) AS p99_ms, max(latency_ms) AS max_ms
FROM latency WHERE latency_ms IS NOT NULL GROUP BY type ORDER BY messages DESC, type LIMIT $listed_types
"""

LATENCY_SPREAD: Final = """
SELECT least(floor((latency_ms - $from_ms) / $width_ms), $spread_bars)::INTEGER AS bar, count(*) AS n
FROM latency WHERE latency_ms IS NOT NULL GROUP BY bar ORDER BY bar
"""

CONNECTIONS: Final = """
SELECT * FROM (
    SELECT connections.conn, elapsed_ns / 1e9 AS from_s, elapsed_ns / 1e9 + open_for_ms / 1e3 AS to_s, messages, code,
        coalesce(nullif(reason, ''), cause) AS why
    FROM connections JOIN events ON seq = first_seq ORDER BY open_for_ms DESC, connections.conn LIMIT $bars
) ORDER BY from_s, conn
"""

GAPS: Final = "SELECT count(*) AS count, coalesce(sum(to_ns - from_ns), 0) / 1e9 AS total_s FROM gaps"

LONGEST_GAPS: Final = """
SELECT * FROM (
    SELECT from_ns / 1e9 AS from_s, to_ns / 1e9 AS to_s, coalesce(cause, 'unknown') AS cause
    FROM gaps ORDER BY to_s - from_s DESC, from_s LIMIT $bars
) ORDER BY from_s
"""

ENGINE: Final = """
WITH runs AS (
    SELECT state, from_ns, greatest(to_ns, from_ns + 1) AS to_ns FROM engine_states
), totals AS (
    SELECT state, min(from_ns) AS first_ns, count(*) AS entered, sum(to_ns - from_ns) / 1e9 AS total_s
    FROM runs GROUP BY state
), parts AS (
    SELECT state, from_ns, to_ns, unnest(range(from_ns // $width_ns, (to_ns - 1) // $width_ns + 1)) AS bin FROM runs
)
SELECT state, entered, total_s, bin,
    sum(least(to_ns, (bin + 1) * $width_ns) - greatest(from_ns, bin * $width_ns))::DOUBLE / $width_ns AS share
FROM parts JOIN totals USING (state)
GROUP BY state, entered, total_s, first_ns, bin ORDER BY first_ns, state, bin
"""

# Lives: id, symbol, side, outcome, from_ns, to_ns (null while it lasts), pnl_usd. Times of the sender are put on our
# clock as `latency` does, and kept within the session; what tells no time began and ended with what was told of it.
_ON_OUR_CLOCK: Final = (
    "1e3 * least(greatest(coalesce(epoch_us({stamp}) + offset_us, {told}.elapsed_ns / 1e3), 0), $span_ns / 1e3)"
)

_LIVES: Final = """
SELECT id, symbol, side, outcome, pnl_usd, from_ns, CASE WHEN NOT is_open THEN greatest(ended_ns, from_ns) END AS to_ns
FROM (
    SELECT lives.*,
        ({began})::BIGINT AS from_ns,
        ({ended})::BIGINT AS ended_ns
    FROM ({lives}) AS lives
    JOIN events AS first ON first.seq = first_seq
    JOIN events AS last ON last.seq = last_seq
    LEFT JOIN clocks ON clocks.session = first.session
)
"""


def _lives(rows: str) -> str:
    began = _ON_OUR_CLOCK.format(stamp="begun_at", told="first")
    return _LIVES.format(lives=rows, began=began, ended=_ON_OUR_CLOCK.format(stamp="ended_at", told="last"))


ORDERS: Final = _lives("""
SELECT id, symbol, side, coalesce(lower(status), 'unknown') AS outcome, NULL::DOUBLE AS pnl_usd,
    placed_at AS begun_at, coalesce(filled_at, canceled_at) AS ended_at, first_seq, last_seq,
    ended_at IS NULL AND outcome IN ('open', 'new', 'pending', 'partially_filled', 'unknown') AS is_open
FROM orders
""")

POSITIONS: Final = _lives("""
SELECT id, symbol, side, opened_at AS begun_at, closed_at AS ended_at, first_seq, last_seq, pnl_usd,
    status = 'open' AS is_open,
    CASE WHEN is_open THEN 'open' WHEN pnl_usd > 0 THEN 'won' WHEN pnl_usd < 0 THEN 'lost' ELSE 'closed' END AS outcome
FROM positions
""")

# Asked once, because putting the lives together reads payloads: `part` says what a row belongs to.
LIVES: Final = """
WITH lives AS MATERIALIZED ($lives), outcomes AS (
    SELECT outcome, count(*) AS n FROM lives GROUP BY outcome
), longest AS (
    SELECT id, symbol, side, outcome, pnl_usd, from_ns / 1e9 AS from_s, coalesce(to_ns, $span_ns) / 1e9 AS to_s
    FROM lives ORDER BY to_s - from_s DESC, id LIMIT $bars
), changes AS (
    SELECT from_ns AS at_ns, 1 AS change FROM lives
    UNION ALL SELECT to_ns, -1 FROM lives WHERE to_ns IS NOT NULL
), running AS (
    -- Of what happens at the same time, what ends goes first.
    SELECT at_ns, sum(change) OVER (ORDER BY at_ns, change ROWS UNBOUNDED PRECEDING) AS open,
        row_number() OVER (ORDER BY at_ns, change) AS place
    FROM changes
), open_at_once AS (
    SELECT at_ns // $width_ns AS bin, max(open)::BIGINT AS most, arg_max(open, place)::BIGINT AS left_open
    FROM running GROUP BY bin
)
SELECT 'outcome' AS part, * FROM outcomes
UNION ALL BY NAME SELECT 'bar' AS part, * FROM longest
UNION ALL BY NAME SELECT 'bin' AS part, * FROM open_at_once
ORDER BY part, n DESC, from_s, id, bin, outcome
"""
