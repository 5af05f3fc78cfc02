-- One row a heartbeat of the feed, as its dialect names them.
--
-- | session | VARCHAR | the session's id |
-- | seq | BIGINT | `seq` of its event |
-- | conn | INTEGER | the connection that it came on |
-- | elapsed_ns | BIGINT | ns since the session began |
-- | received_at | TIMESTAMP WITH TIME ZONE | when it came |
-- | sent_at | TIMESTAMP WITH TIME ZONE | when the sender says it was sent |
-- | server_latency_ms | DOUBLE | `latencyMs`, as the server says, ms |
-- | interval_ms | DOUBLE | since the heartbeat before, on the same connection, ms; null for the first |
-- | late_ms | DOUBLE | `interval_ms` less the 30 s that are documented, ms; negative is early |
--
-- Example: select seq, received_at, interval_ms, late_ms from heartbeats order by seq limit 5
SELECT
    session,
    seq,
    conn,
    elapsed_ns,
    received_at,
    sent_at,
    TRY(json_transform(text, '{"data": {"latencyMs": "DOUBLE"}}')).data.latencyMs AS server_latency_ms,
    (elapsed_ns - lag(elapsed_ns) OVER (PARTITION BY session, conn ORDER BY seq)) / 1e6 AS interval_ms,
    interval_ms - 30_000 AS late_ms
FROM events
SEMI JOIN sessions ON events.session = sessions.session AND events.type = sessions.heartbeat_type
WHERE kind = 'message' AND direction = 'in'
