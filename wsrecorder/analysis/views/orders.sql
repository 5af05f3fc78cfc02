-- One row an order that has an id: its life, put together from all that was told of it. Times are the sender's; one that
-- was placed before the recording began has them from the payloads that came later.
--
-- | session | VARCHAR | the session's id |
-- | id | VARCHAR | which order |
-- | symbol | VARCHAR | such as `BTC/USDT` |
-- | side | VARCHAR | `buy` or `sell` |
-- | order_type | VARCHAR | such as `limit` |
-- | status | VARCHAR | the last: such as `open`, `filled`, `canceled` |
-- | qty | DOUBLE | in units of the base currency |
-- | price | DOUBLE | the last, in the quote currency |
-- | fill_price | DOUBLE | average price of the fill, if a list told it |
-- | fees_usd | DOUBLE | fees, USD |
-- | placed_at | TIMESTAMP WITH TIME ZONE | when it was placed |
-- | updated_at | TIMESTAMP WITH TIME ZONE | when it last changed |
-- | filled_at | TIMESTAMP WITH TIME ZONE | when it was filled, null if it was not |
-- | canceled_at | TIMESTAMP WITH TIME ZONE | when it was canceled, null if it was not |
-- | time_to_fill_ms | DOUBLE | from placed to filled, ms |
-- | open_for_ms | DOUBLE | from placed to filled or canceled, ms; null while it is open |
-- | reason | VARCHAR | the last that was given |
-- | position_id | VARCHAR | the position that it opened or closed, if a list told it |
-- | correlation_id | VARCHAR | the signal that it came from, if a list told it |
-- | times_told | BIGINT | rows of `order_events` |
-- | first_seq | BIGINT | `seq` of the first event that told of it |
-- | last_seq | BIGINT | `seq` of the last |
--
-- Example: select status, order_type, count(*) as orders, round(median(time_to_fill_ms)) as fill_ms from orders group by all order by all
SELECT
    session,
    id,
    symbol,
    side,
    order_type,
    status,
    qty,
    price,
    fill_price,
    fees_usd,
    placed_at,
    updated_at,
    filled_at,
    canceled_at,
    CASE WHEN filled_at >= placed_at THEN (epoch_us(filled_at) - epoch_us(placed_at)) / 1e3 END AS time_to_fill_ms,
    CASE
        WHEN coalesce(filled_at, canceled_at) >= placed_at
            THEN (epoch_us(coalesce(filled_at, canceled_at)) - epoch_us(placed_at)) / 1e3
    END AS open_for_ms,
    reason,
    position_id,
    correlation_id,
    times_told,
    first_seq,
    last_seq
FROM (
    SELECT
        session,
        id,
        arg_max(symbol, seq) AS symbol,
        arg_max(side, seq) AS side,
        arg_max(order_type, seq) AS order_type,
        -- What has ended stays so: a list that was made before the end may come after it.
        coalesce(
            arg_max(status, seq) FILTER (lower(status) IN ('filled', 'canceled', 'cancelled')), arg_max(status, seq)
        ) AS status,
        arg_max(qty, seq) AS qty,
        arg_max(price, seq) AS price,
        arg_max(fill_price, seq) AS fill_price,
        max(fees_usd) AS fees_usd,
        coalesce(min(created_at), min(told_at) FILTER (type = 'ORDER_PLACED')) AS placed_at,
        max(updated_at) AS updated_at,
        coalesce(min(filled_at), min(told_at) FILTER (lower(status) = 'filled')) AS filled_at,
        min(told_at) FILTER (type = 'ORDER_CANCELED' OR lower(status) IN ('canceled', 'cancelled')) AS canceled_at,
        arg_max(reason, seq) AS reason,
        arg_max(position_id, seq) AS position_id,
        arg_max(correlation_id, seq) AS correlation_id,
        count(*) AS times_told,
        min(seq) AS first_seq,
        max(seq) AS last_seq
    FROM order_events
    WHERE id IS NOT NULL
    GROUP BY session, id
)
