-- One row a second and type, from the session's beginning to its end; seconds in which nothing came are there, with 0.
--
-- | session | VARCHAR | the session's id |
-- | second | BIGINT | s since the session began: from 0 on, none missing |
-- | type | VARCHAR | the envelope's type, null for messages that have none |
-- | messages | BIGINT | frames, both directions |
-- | size_bytes | BIGINT | their payload bytes |
--
-- Example: select second, sum(messages) as messages, sum(size_bytes) as size_bytes from rates group by second order by second limit 3
WITH counted AS MATERIALIZED (
    SELECT
        session,
        elapsed_ns // 1_000_000_000 AS second,
        type,
        count(*) AS messages,
        sum(coalesce(strlen(text), octet_length("binary"), 0))::BIGINT AS size_bytes
    FROM events WHERE kind = 'message'
    GROUP BY session, second, type
),
every_type AS (SELECT DISTINCT session, type FROM counted),
lengths AS (SELECT session, max(elapsed_ns) // 1_000_000_000 AS last_second FROM events GROUP BY session)
SELECT
    every_second.session,
    every_second.second,
    every_second.type,
    coalesce(messages, 0) AS messages,
    coalesce(size_bytes, 0) AS size_bytes
FROM (SELECT session, unnest(range(last_second + 1)) AS second, type FROM every_type JOIN lengths USING (session))
    AS every_second
LEFT JOIN counted
    ON every_second.session = counted.session
    AND every_second.second = counted.second
    AND every_second.type IS NOT DISTINCT FROM counted.type
