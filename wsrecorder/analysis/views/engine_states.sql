-- One row a state that the engine was in, from ENGINE_UPDATE and FSM_TRANSITION.
--
-- | session | VARCHAR | the session's id |
-- | seq | BIGINT | `seq` of the event that first told it |
-- | state | VARCHAR | as the engine spells it |
-- | running | BOOLEAN | whether it trades, null if that was not told |
-- | reason | VARCHAR | why it came there, null if that was not told |
-- | from_state | VARCHAR | where it came from |
-- | entered_at | TIMESTAMP WITH TIME ZONE | when, by the sender's clock (ours if it gives none) |
-- | from_ns | BIGINT | when, ns since the session began |
-- | to_ns | BIGINT | when the next began, or the session's last event came, ns since the session began |
-- | lasted_ms | DOUBLE | from one to the other, by our clock, ms |
-- | is_last | BOOLEAN | whether the session ended in it |
--
-- Example: select state, count(*) as times, round(sum(lasted_ms) / 1000, 1) as seconds from engine_states group by state order by seconds desc, state
WITH told AS (
    SELECT
        session,
        seq,
        elapsed_ns,
        coalesce(sent_at, received_at) AS told_at,
        coalesce(data.to_state, data.state) AS state,
        data.running AS running,
        data.reason AS reason,
        data.from_state AS from_state
    FROM (
        SELECT
            session, seq, elapsed_ns, received_at, sent_at,
            TRY(json_transform(text, '{"data": {
                "state": "VARCHAR", "running": "BOOLEAN",
                "from_state": "VARCHAR", "to_state": "VARCHAR", "reason": "VARCHAR"
            }}')).data AS data
        FROM events
        WHERE type IN ('ENGINE_UPDATE', 'FSM_TRANSITION') AND kind = 'message'
    )
    WHERE coalesce(data.to_state, data.state) IS NOT NULL
),
numbered AS (
    -- Not count(*) FILTER (is_new): as a window that takes quadratic time (DuckDB 2.0).
    SELECT *, sum(is_new::INTEGER) OVER (PARTITION BY session ORDER BY seq ROWS UNBOUNDED PRECEDING) AS number
    FROM (SELECT *, state IS DISTINCT FROM lag(state) OVER (PARTITION BY session ORDER BY seq) AS is_new FROM told)
),
states AS (
    SELECT
        session,
        min(seq) AS seq,
        any_value(state) AS state,
        arg_min(running, seq) AS running,
        arg_min(reason, seq) AS reason,
        arg_min(from_state, seq) AS from_state,
        arg_min(told_at, seq) AS entered_at,
        min(elapsed_ns) AS from_ns
    FROM numbered GROUP BY session, number
),
ends AS (SELECT session, max(elapsed_ns) AS end_ns FROM events GROUP BY session)
SELECT
    session,
    seq,
    state,
    running,
    reason,
    coalesce(from_state, lag(state) OVER of_session) AS from_state,
    entered_at,
    from_ns,
    coalesce(lead(from_ns) OVER of_session, end_ns) AS to_ns,
    (to_ns - from_ns) / 1e6 AS lasted_ms,
    lead(seq) OVER of_session IS NULL AS is_last
FROM states JOIN ends USING (session)
WINDOW of_session AS (PARTITION BY session ORDER BY seq)
