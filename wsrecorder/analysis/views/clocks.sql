-- One row a session: by how much the sender's clock is off ours, as far as one-way data can tell
-- (`docs/latency.md` has the formula). `latency` subtracts it.
--
-- | session | VARCHAR | the session's id |
-- | offset_us | DOUBLE | least delay by the two clocks, at the session's beginning: `elapsed_ns` / 1000 less `sent_at` in µs since 1970-01-01 |
-- | skew_ppm | DOUBLE | by how much the delay grows, µs a second; 0 where it cannot be told from noise |
-- | seconds | BIGINT | seconds in which a message with a time stamp came |
-- | doubted | BIGINT | of these, seconds left out: a stamp more than 60 s under the others |
-- | spread_ms | DOUBLE | between the lowest and the highest least delay of a second, skew taken off, ms |
--
-- Example: select session, round(skew_ppm, 2) as skew_ppm, seconds, doubted, round(spread_ms, 1) as spread_ms from clocks
WITH every_second AS (  -- read the events once, whatever follows works on few rows
    SELECT session, elapsed_ns // 1_000_000_000 AS second, min(elapsed_ns // 1_000 - epoch_us(sent_at)) AS least_us
    FROM events
    WHERE kind = 'message' AND direction = 'in' AND sent_at IS NOT NULL
    GROUP BY session, second
),
judged AS MATERIALIZED (
    SELECT *, least_us >= median(least_us) OVER (PARTITION BY session) - 60_000_000 AS is_trusted
    FROM every_second
),
trusted AS (
    SELECT
        *,
        -- At most 128 spans of equal length: what follows looks at each pair of them.
        (second - min(second) OVER (PARTITION BY session)) * 128
            // (max(second) OVER (PARTITION BY session) - min(second) OVER (PARTITION BY session) + 1) AS span
    FROM judged WHERE is_trusted
),
points AS MATERIALIZED (
    SELECT session, lowest.second AS second, lowest.least_us AS least_us
    FROM (SELECT session, min({'least_us': least_us, 'second': second}) AS lowest FROM trusted GROUP BY session, span)
),
middles AS (SELECT session, avg(second) AS middle, max(second) - min(second) AS length FROM points GROUP BY session),
-- The lower hull of the points, at their middle, is the lowest of all chords that span it.
hulls AS (
    SELECT session, min({'height': height, 'slope': slope, 'chord': chord}) AS lowest, any_value(length) AS length
    FROM (
        SELECT
            session,
            length,
            b.second - a.second AS chord,
            (b.least_us - a.least_us) / chord AS slope,
            a.least_us + slope * (middle - a.second) AS height
        FROM points AS a JOIN points AS b USING (session) JOIN middles USING (session)
        WHERE a.second <= middle AND b.second > middle
    )
    GROUP BY session
),
skews AS (
    SELECT session, lowest.slope AS skew_ppm FROM hulls
    WHERE length >= 600 AND lowest.chord * 10 >= length AND abs(lowest.slope) <= 500
)
SELECT
    session,
    -- Under every second from its beginning to its end, so that no message is faster than light.
    min(least_us - greatest(skew * second, skew * (second + 1))) FILTER (is_trusted) AS offset_us,
    any_value(skew) AS skew_ppm,
    count(*) AS seconds,
    count(*) FILTER (NOT is_trusted) AS doubted,
    (max(least_us - skew * second) FILTER (is_trusted) - min(least_us - skew * second) FILTER (is_trusted)) / 1e3
        AS spread_ms
FROM (SELECT judged.*, coalesce(skew_ppm, 0.0) AS skew FROM judged LEFT JOIN skews USING (session))
GROUP BY session
