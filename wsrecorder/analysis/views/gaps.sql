-- One row a time in which frames may have been missed.
--
-- | session | VARCHAR | the session's id |
-- | seq | BIGINT | `seq` of the gap's own event |
-- | conn | INTEGER | the connection that it belongs to |
-- | cause | VARCHAR | why, in our words |
-- | from_ns | BIGINT | when it began, ns since the session began |
-- | to_ns | BIGINT | when it ended, ns since the session began; that of the event if it has no length |
-- | lasted_ms | DOUBLE | from one to the other, ms |
-- | ended_at | TIMESTAMP WITH TIME ZONE | when it was recorded, at its end |
-- | detail | JSON | all that was noted |
--
-- Example: select seq, cause, lasted_ms, ended_at from gaps order by seq
SELECT
    session,
    seq,
    conn,
    noted ->> '$.cause' AS cause,
    coalesce(try_cast(noted ->> '$.from_ns' AS BIGINT), elapsed_ns) AS from_ns,
    coalesce(try_cast(noted ->> '$.to_ns' AS BIGINT), elapsed_ns) AS to_ns,
    (to_ns - from_ns) / 1e6 AS lasted_ms,
    received_at AS ended_at,
    noted AS detail
FROM (SELECT *, try_cast(detail AS JSON) AS noted FROM events WHERE kind = 'gap')
