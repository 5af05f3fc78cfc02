-- One row a position that has an id: its life, put together from all that was told of it. Times are the sender's.
--
-- | session | VARCHAR | the session's id |
-- | id | VARCHAR | which position |
-- | symbol | VARCHAR | such as `BTC/USDT` |
-- | side | VARCHAR | `long` or `short` |
-- | strategy | VARCHAR | the strategy of its signal, if a list told it |
-- | status | VARCHAR | `open` or `closed` |
-- | qty | DOUBLE | the most that was held, in units of the base currency |
-- | entry | DOUBLE | price at which it opened, in the quote currency, as are all prices |
-- | first_stop | DOUBLE | price of the first stop known |
-- | stop | DOUBLE | price of the last stop |
-- | target | DOUBLE | the last take-profit price |
-- | opened_at | TIMESTAMP WITH TIME ZONE | when it was opened |
-- | closed_at | TIMESTAMP WITH TIME ZONE | when it was closed, null while it is open |
-- | held_for_ms | DOUBLE | from one to the other, ms; null while it is open |
-- | stop_moves | BIGINT | how often the stop was moved |
-- | profits_taken | BIGINT | how often a target was reached |
-- | pnl_usd | DOUBLE | profit after fees, USD; null while it is open |
-- | pnl_r | DOUBLE | the same in units of the first risk |
-- | unrealized_usd | DOUBLE | profit at the last price known, USD; null once it is closed |
-- | fees_usd | DOUBLE | the last known fees, USD, if a list told them |
-- | reason | VARCHAR | the last that was given: why it was opened, then why it was closed |
-- | times_told | BIGINT | rows of `position_events` |
-- | first_seq | BIGINT | `seq` of the first event that told of it |
-- | last_seq | BIGINT | `seq` of the last |
--
-- Example: select reason, count(*) as positions, round(sum(pnl_usd), 2) as pnl_usd from positions where status = 'closed' group by reason order by reason
SELECT
    session,
    id,
    symbol,
    side,
    strategy,
    status,
    qty,
    entry,
    first_stop,
    stop,
    target,
    opened_at,
    closed_at,
    CASE WHEN closed_at >= opened_at THEN (epoch_us(closed_at) - epoch_us(opened_at)) / 1e3 END AS held_for_ms,
    stop_moves,
    profits_taken,
    pnl_usd,
    pnl_r,
    CASE WHEN status = 'open' THEN last_unrealized_usd END AS unrealized_usd,
    fees_usd,
    reason,
    times_told,
    first_seq,
    last_seq
FROM (
    SELECT
        session,
        id,
        arg_max(symbol, seq) AS symbol,
        arg_max(side, seq) AS side,
        arg_max(strategy, seq) AS strategy,
        CASE WHEN bool_or(type = 'POSITION_CLOSE' OR coalesce(lower(status) = 'closed', false)) THEN 'closed' ELSE 'open' END
            AS status,
        max(qty) AS qty,
        arg_min(entry, seq) AS entry,
        arg_min(coalesce(old_stop, stop), seq) AS first_stop,
        arg_max(stop, seq) AS stop,
        arg_max(target, seq) AS target,
        coalesce(min(opened_at), min(told_at) FILTER (type = 'POSITION_OPEN')) AS opened_at,
        coalesce(max(closed_at), min(told_at) FILTER (type = 'POSITION_CLOSE' OR lower(status) = 'closed')) AS closed_at,
        -- An event that was recorded twice is one move.
        count(DISTINCT (told_at, old_stop, stop)) FILTER (type = 'STOP_MOVED') AS stop_moves,
        count(DISTINCT (told_at, price)) FILTER (type = 'TAKE_PROFIT') AS profits_taken,
        arg_max(pnl_usd, seq) FILTER (type <> 'TAKE_PROFIT') AS pnl_usd,
        arg_max(pnl_r, seq) FILTER (type <> 'TAKE_PROFIT') AS pnl_r,
        arg_max(unrealized_usd, seq) AS last_unrealized_usd,
        arg_max(fees_usd, seq) AS fees_usd,
        arg_max(reason, seq) AS reason,
        count(*) AS times_told,
        min(seq) AS first_seq,
        max(seq) AS last_seq
    FROM position_events
    WHERE id IS NOT NULL
    GROUP BY session, id
)
