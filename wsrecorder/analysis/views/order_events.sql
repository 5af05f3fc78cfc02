-- One row an order each time that it is told of: in an ORDER_PLACED, ORDER_UPDATED or ORDER_CANCELED, or in the list of
-- an ORDER_UPDATE, of which each entry is a row.
--
-- | session | VARCHAR | the session's id |
-- | seq | BIGINT | `seq` of the event |
-- | elapsed_ns | BIGINT | ns since the session began |
-- | received_at | TIMESTAMP WITH TIME ZONE | when it came |
-- | told_at | TIMESTAMP WITH TIME ZONE | when, by the sender's clock (ours if it gives none) |
-- | type | VARCHAR | the event's type |
-- | id | VARCHAR | which order |
-- | position_id | VARCHAR | the position that it opens or closes |
-- | correlation_id | VARCHAR | the signal that it came from |
-- | symbol | VARCHAR | such as `BTC/USDT` |
-- | side | VARCHAR | `buy` or `sell` |
-- | order_type | VARCHAR | such as `limit` |
-- | status | VARCHAR | such as `open`, `filled`, `canceled` |
-- | qty | DOUBLE | in units of the base currency |
-- | filled_qty | DOUBLE | how much of it is filled |
-- | price | DOUBLE | in the quote currency |
-- | stop_price | DOUBLE | price of the stop |
-- | fill_price | DOUBLE | average price of the fill |
-- | fees_usd | DOUBLE | fees so far, USD |
-- | reason | VARCHAR | why it was placed or canceled |
-- | created_at | TIMESTAMP WITH TIME ZONE | when it was placed, as the payload says |
-- | updated_at | TIMESTAMP WITH TIME ZONE | when it last changed, as the payload says |
-- | filled_at | TIMESTAMP WITH TIME ZONE | when it was filled, as the payload says |
--
-- {order} = {"id": "VARCHAR", "position_id": "VARCHAR", "correlation_id": "VARCHAR", "symbol": "VARCHAR",
--   "side": "VARCHAR", "type": "VARCHAR", "order_type": "VARCHAR", "status": "VARCHAR", "qty": "DOUBLE",
--   "filled_qty": "DOUBLE", "price": "DOUBLE", "stop_price": "DOUBLE", "avg_fill_price": "DOUBLE", "fees": "DOUBLE",
--   "fees_usd": "DOUBLE", "reason": "VARCHAR", "createdAt": "VARCHAR", "updatedAt": "VARCHAR", "filledAt": "VARCHAR",
--   "timestamps": {"created_at": "VARCHAR", "updated_at": "VARCHAR", "filled_at": "VARCHAR"},
--   "metadata": {"correlation_id": "VARCHAR"}}
--
-- Example: select told_at, type, status, price from order_events where id = (select id from orders order by first_seq limit 1) order by seq
SELECT
    session,
    seq,
    elapsed_ns,
    received_at,
    coalesce(sent_at, received_at) AS told_at,
    type,
    told.id AS id,
    told.position_id AS position_id,
    coalesce(told.correlation_id, told.metadata.correlation_id) AS correlation_id,
    told.symbol AS symbol,
    told.side AS side,
    coalesce(told.order_type, told."type") AS order_type,
    told.status AS status,
    told.qty AS qty,
    told.filled_qty AS filled_qty,
    told.price AS price,
    told.stop_price AS stop_price,
    told.avg_fill_price AS fill_price,
    coalesce(told.fees_usd, told.fees) AS fees_usd,
    told.reason AS reason,
    moment(coalesce(told.createdAt, told.timestamps.created_at)) AS created_at,
    moment(coalesce(told.updatedAt, told.timestamps.updated_at)) AS updated_at,
    moment(coalesce(told.filledAt, told.timestamps.filled_at)) AS filled_at
FROM (
    SELECT
        session, seq, elapsed_ns, received_at, sent_at, type,
        unnest(coalesce(data.orders, [data."order"])) AS told
    FROM (
        SELECT
            session, seq, elapsed_ns, received_at, sent_at, type,
            TRY(json_transform(text, '{"data": {"order": {order}, "orders": [{order}]}}')).data AS data
        FROM events
        WHERE type IN ('ORDER_PLACED', 'ORDER_UPDATED', 'ORDER_CANCELED', 'ORDER_UPDATE') AND kind = 'message'
    )
)
