-- One row an incoming message: how long it took, by the two clocks and with the sender's clock corrected.
--
-- | session | VARCHAR | the session's id |
-- | seq | BIGINT | `seq` of its event |
-- | conn | INTEGER | the connection that it came on |
-- | type | VARCHAR | the envelope's type |
-- | elapsed_ns | BIGINT | ns since the session began |
-- | received_at | TIMESTAMP WITH TIME ZONE | when it came |
-- | sent_at | TIMESTAMP WITH TIME ZONE | when the sender says it was sent, null if it does not |
-- | raw_ms | DOUBLE | received less sent, by two clocks, ms |
-- | latency_ms | DOUBLE | time above the fastest message, the clocks' offset and skew (`clocks`) taken off, ms; null if the stamp cannot be right: before the fastest message |
--
-- Example: select type, count(*) as n, round(quantile_cont(latency_ms, 0.99), 2) as p99_ms from latency group by type order by n desc, type limit 5
SELECT
    session,
    seq,
    conn,
    type,
    elapsed_ns,
    received_at,
    sent_at,
    (received_ns // 1_000 - epoch_us(sent_at)) / 1e3 AS raw_ms,
    -- A float of 2e15 µs, which is today's date, is exact to 0.25 µs: on the line may be a little under it.
    CASE WHEN latency_us > -1 THEN greatest(latency_us, 0) / 1e3 END AS latency_ms
FROM (
    SELECT *, elapsed_ns // 1_000 - epoch_us(sent_at) - offset_us - skew_ppm * (elapsed_ns / 1e9) AS latency_us
    FROM events
    LEFT JOIN clocks USING (session)
    WHERE kind = 'message' AND direction = 'in'
)
