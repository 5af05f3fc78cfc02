-- One row a signal: those that one SIGNAL lists are a row each.
--
-- | session | VARCHAR | the session's id |
-- | seq | BIGINT | `seq` of its event |
-- | elapsed_ns | BIGINT | ns since the session began |
-- | received_at | TIMESTAMP WITH TIME ZONE | when it came |
-- | signaled_at | TIMESTAMP WITH TIME ZONE | when it was made, by the sender's clock |
-- | correlation_id | VARCHAR | what its order refers to |
-- | symbol | VARCHAR | such as `BTC/USDT` |
-- | side | VARCHAR | `long` or `short` |
-- | strategy | VARCHAR | which strategy made it |
-- | reason | VARCHAR | its words |
-- | status | VARCHAR | such as `pending` |
-- | entry | DOUBLE | price to enter at, in the quote currency, as are all prices |
-- | level | DOUBLE | price that it was made at |
-- | stop | DOUBLE | price of the stop (`sl`) |
-- | tp1 | DOUBLE | first take-profit price |
-- | tp2 | DOUBLE | second take-profit price |
-- | confidence | DOUBLE | 0 to 1; `NaN` if the engine sent that |
-- | meta | JSON | whatever else it said |
--
-- Example: select signaled_at, symbol, side, strategy, entry, stop from signals order by seq limit 3
SELECT
    session,
    seq,
    elapsed_ns,
    received_at,
    coalesce(moment(signal."timestamp"), sent_at) AS signaled_at,
    signal.correlation_id AS correlation_id,
    signal.symbol AS symbol,
    signal.side AS side,
    signal.strategy AS strategy,
    signal.reason AS reason,
    signal.status AS status,
    signal.entry AS entry,
    signal.level AS level,
    signal.sl AS stop,
    signal.tp1 AS tp1,
    signal.tp2 AS tp2,
    signal.confidence AS confidence,
    signal.meta AS meta
FROM (
    SELECT
        session, seq, elapsed_ns, received_at, sent_at,
        unnest(coalesce(TRY(json_transform(text, '{"data": {"signals": [{
            "symbol": "VARCHAR", "side": "VARCHAR", "strategy": "VARCHAR", "reason": "VARCHAR", "entry": "DOUBLE",
            "level": "DOUBLE", "sl": "DOUBLE", "confidence": "DOUBLE", "timestamp": "VARCHAR", "status": "VARCHAR",
            "correlation_id": "VARCHAR", "tp1": "DOUBLE", "tp2": "DOUBLE", "meta": "JSON"
        }]}}')).data.signals, [NULL])) AS signal
    FROM events
    WHERE type = 'SIGNAL' AND kind = 'message'
)
