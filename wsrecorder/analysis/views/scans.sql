-- One row a candidate of a scan: those that one SCAN_RESULT lists are a row each.
--
-- | session | VARCHAR | the session's id |
-- | seq | BIGINT | `seq` of its event: one scan |
-- | elapsed_ns | BIGINT | ns since the session began |
-- | received_at | TIMESTAMP WITH TIME ZONE | when it came |
-- | scanned_at | TIMESTAMP WITH TIME ZONE | when it was made, by the sender's clock |
-- | symbol | VARCHAR | such as `BTC/USDT` |
-- | score | DOUBLE | the engine's; `NaN` if it sent that |
-- | rank | BIGINT | place in the scan, as the engine counts |
-- | price | DOUBLE | last price (`market_data.last`), in the quote currency |
-- | filters | JSON | which filters it passed |
-- | metrics | JSON | what was measured |
-- | levels | JSON | price levels |
-- | market_data | JSON | what the market said |
--
-- Example: select symbol, count(*) as scans, min(rank) as best_rank from scans group by symbol order by scans desc, symbol limit 5
SELECT
    session,
    seq,
    elapsed_ns,
    received_at,
    coalesce(moment(result."timestamp"), sent_at) AS scanned_at,
    result.symbol AS symbol,
    result.score AS score,
    result.rank AS rank,
    try_cast(result.market_data ->> '$.last' AS DOUBLE) AS price,
    result.filters AS filters,
    result.metrics AS metrics,
    result.levels AS levels,
    result.market_data AS market_data
FROM (
    SELECT
        session, seq, elapsed_ns, received_at, sent_at,
        unnest(coalesce(TRY(json_transform(text, '{"data": {"results": [{
            "symbol": "VARCHAR", "score": "DOUBLE", "rank": "BIGINT", "filters": "JSON", "metrics": "JSON",
            "levels": "JSON", "timestamp": "VARCHAR", "market_data": "JSON"
        }]}}')).data.results, [NULL])) AS result
    FROM events
    WHERE type = 'SCAN_RESULT' AND kind = 'message'
)
