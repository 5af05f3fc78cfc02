-- One row a STOP_MOVED.
--
-- | session | VARCHAR | the session's id |
-- | seq | BIGINT | `seq` of its event |
-- | elapsed_ns | BIGINT | ns since the session began |
-- | received_at | TIMESTAMP WITH TIME ZONE | when it came |
-- | moved_at | TIMESTAMP WITH TIME ZONE | when it was moved, by the sender's clock |
-- | position_id | VARCHAR | the position that it protects |
-- | old_stop | DOUBLE | price before, in the quote currency |
-- | new_stop | DOUBLE | price after |
-- | moved_by | DOUBLE | the difference |
--
-- Example: select position_id, count(*) as moves, round(sum(moved_by), 4) as moved_by from stop_moves group by position_id order by moves desc, position_id limit 3
SELECT
    session,
    seq,
    elapsed_ns,
    received_at,
    coalesce(moment(data."timestamp"), sent_at) AS moved_at,
    data.position_id AS position_id,
    data.old_stop AS old_stop,
    data.new_stop AS new_stop,
    data.new_stop - data.old_stop AS moved_by
FROM (
    SELECT
        session, seq, elapsed_ns, received_at, sent_at,
        TRY(json_transform(text, '{"data": {
            "position_id": "VARCHAR", "old_stop": "DOUBLE", "new_stop": "DOUBLE", "timestamp": "VARCHAR"
        }}')).data AS data
    FROM events
    WHERE type = 'STOP_MOVED' AND kind = 'message'
)
