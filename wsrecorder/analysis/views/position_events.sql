-- One row a position each time that it is told of: in a POSITION_OPEN, POSITION_UPDATE or POSITION_CLOSE (of a list, each
-- entry is a row), a STOP_MOVED or a TAKE_PROFIT.
--
-- | session | VARCHAR | the session's id |
-- | seq | BIGINT | `seq` of the event |
-- | elapsed_ns | BIGINT | ns since the session began |
-- | received_at | TIMESTAMP WITH TIME ZONE | when it came |
-- | told_at | TIMESTAMP WITH TIME ZONE | when, by the sender's clock (ours if it gives none) |
-- | type | VARCHAR | the event's type |
-- | id | VARCHAR | which position |
-- | symbol | VARCHAR | such as `BTC/USDT` |
-- | side | VARCHAR | `long` or `short` |
-- | strategy | VARCHAR | the strategy of its signal |
-- | mode | VARCHAR | such as `paper` |
-- | status | VARCHAR | `status` or `action`, as the payload says |
-- | qty | DOUBLE | in units of the base currency |
-- | entry | DOUBLE | price at which it opened, in the quote currency, as are all prices |
-- | stop | DOUBLE | price of the stop (`sl`, or `new_stop` of a STOP_MOVED) |
-- | old_stop | DOUBLE | price of the stop before a STOP_MOVED |
-- | target | DOUBLE | take-profit price (`tp`) |
-- | price | DOUBLE | price of a TAKE_PROFIT |
-- | pnl_usd | DOUBLE | profit made, USD: of a closed position, or of the part that a TAKE_PROFIT sold |
-- | pnl_r | DOUBLE | profit made, in units of the first risk |
-- | unrealized_usd | DOUBLE | profit at the last price, USD; of lists, `pnl_usd` while the position is open |
-- | unrealized_r | DOUBLE | the same in units of the first risk |
-- | fees_usd | DOUBLE | fees so far, USD |
-- | reason | VARCHAR | why it was opened or closed |
-- | opened_at | TIMESTAMP WITH TIME ZONE | when it was opened, as the payload says |
-- | closed_at | TIMESTAMP WITH TIME ZONE | when it was closed, as the payload says |
--
-- {position} = {"id": "VARCHAR", "symbol": "VARCHAR", "side": "VARCHAR", "strategy": "VARCHAR", "mode": "VARCHAR",
--   "status": "VARCHAR", "action": "VARCHAR", "qty": "DOUBLE", "size": "DOUBLE", "entry": "DOUBLE", "sl": "DOUBLE",
--   "tp": "DOUBLE", "pnlUsd": "DOUBLE", "pnlR": "DOUBLE", "unrealizedPnlUsd": "DOUBLE", "unrealizedPnlR": "DOUBLE",
--   "pnl_usd": "DOUBLE", "pnl_r": "DOUBLE", "fees_usd": "DOUBLE", "reason": "VARCHAR", "openedAt": "VARCHAR",
--   "closedAt": "VARCHAR", "timestamps": {"opened_at": "VARCHAR", "closed_at": "VARCHAR"}}
--
-- Example: select told_at, type, stop, unrealized_usd, pnl_usd from position_events where id = (select id from positions order by first_seq limit 1) order by seq
SELECT
    session,
    seq,
    elapsed_ns,
    received_at,
    coalesce(sent_at, received_at) AS told_at,
    type,
    coalesce(told.id, position_id) AS id,
    told.symbol AS symbol,
    told.side AS side,
    told.strategy AS strategy,
    told.mode AS mode,
    coalesce(told.status, told.action) AS status,
    coalesce(told.qty, told.size) AS qty,
    told.entry AS entry,
    coalesce(told.sl, new_stop) AS stop,
    old_stop,
    told.tp AS target,
    price,
    coalesce(told.pnlUsd, CASE WHEN lower(told.status) = 'closed' THEN told.pnl_usd END, pnl) AS pnl_usd,
    coalesce(told.pnlR, CASE WHEN lower(told.status) = 'closed' THEN told.pnl_r END) AS pnl_r,
    coalesce(told.unrealizedPnlUsd, CASE WHEN coalesce(lower(told.status), '') <> 'closed' THEN told.pnl_usd END) AS unrealized_usd,
    coalesce(told.unrealizedPnlR, CASE WHEN coalesce(lower(told.status), '') <> 'closed' THEN told.pnl_r END) AS unrealized_r,
    told.fees_usd AS fees_usd,
    told.reason AS reason,
    moment(coalesce(told.openedAt, told.timestamps.opened_at)) AS opened_at,
    moment(coalesce(told.closedAt, told.timestamps.closed_at)) AS closed_at
FROM (
    SELECT
        session, seq, elapsed_ns, received_at, sent_at, type,
        data.position_id AS position_id, data.old_stop AS old_stop, data.new_stop AS new_stop,
        data.price AS price, data.pnl AS pnl,
        unnest(coalesce(data.positions, [data.position])) AS told
    FROM (
        SELECT
            session, seq, elapsed_ns, received_at, sent_at, type,
            TRY(json_transform(text, '{"data": {
                "position": {position}, "positions": [{position}],
                "position_id": "VARCHAR", "old_stop": "DOUBLE", "new_stop": "DOUBLE", "price": "DOUBLE", "pnl": "DOUBLE"
            }}')).data AS data
        FROM events
        WHERE
            type IN ('POSITION_OPEN', 'POSITION_UPDATE', 'POSITION_CLOSE', 'STOP_MOVED', 'TAKE_PROFIT')
            AND kind = 'message'
    )
)
