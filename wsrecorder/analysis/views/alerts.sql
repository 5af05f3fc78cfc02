-- One row a TAKE_PROFIT, KILL_SWITCH or ERROR.
--
-- | session | VARCHAR | the session's id |
-- | seq | BIGINT | `seq` of its event |
-- | elapsed_ns | BIGINT | ns since the session began |
-- | received_at | TIMESTAMP WITH TIME ZONE | when it came |
-- | raised_at | TIMESTAMP WITH TIME ZONE | when it was raised, by the sender's clock |
-- | type | VARCHAR | `TAKE_PROFIT`, `KILL_SWITCH` or `ERROR` |
-- | reason | VARCHAR | why the kill switch was thrown; the type of an error |
-- | message | VARCHAR | an error's words |
-- | position_id | VARCHAR | the position that took profit |
-- | price | DOUBLE | at which price, in the quote currency |
-- | pnl_usd | DOUBLE | profit of the part that was sold, before fees, USD |
-- | details | JSON | an error's details |
--
-- Example: select raised_at, type, reason, message, pnl_usd from alerts order by seq limit 5
SELECT
    session,
    seq,
    elapsed_ns,
    received_at,
    coalesce(moment(data."timestamp"), sent_at) AS raised_at,
    type,
    coalesce(data.reason, data.error_type) AS reason,
    data.message AS message,
    data.position_id AS position_id,
    data.price AS price,
    data.pnl AS pnl_usd,
    data.details AS details
FROM (
    SELECT
        session, seq, elapsed_ns, received_at, sent_at, type,
        TRY(json_transform(text, '{"data": {
            "position_id": "VARCHAR", "price": "DOUBLE", "pnl": "DOUBLE", "reason": "VARCHAR",
            "error_type": "VARCHAR", "message": "VARCHAR", "details": "JSON", "timestamp": "VARCHAR"
        }}')).data AS data
    FROM events
    WHERE type IN ('TAKE_PROFIT', 'KILL_SWITCH', 'ERROR') AND kind = 'message'
)
