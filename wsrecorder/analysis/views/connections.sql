-- One row a connection of a session; a reconnect is a new one.
--
-- | session | VARCHAR | the session's id |
-- | conn | INTEGER | which connection, from 0 on |
-- | opened_at | TIMESTAMP WITH TIME ZONE | when it opened; null if that was not recorded |
-- | closed_at | TIMESTAMP WITH TIME ZONE | when it closed; null while it is open |
-- | open_for_ms | DOUBLE | from its first event to its last, ms |
-- | url | VARCHAR | what was connected to |
-- | code | INTEGER | close code (RFC 6455, section 7.4) |
-- | reason | VARCHAR | the server's words at the close |
-- | cause | VARCHAR | why it ended, in our words |
-- | messages | BIGINT | frames, both directions |
-- | first_seq | BIGINT | `seq` of its first event |
-- | last_seq | BIGINT | `seq` of its last event |
--
-- Example: select conn, opened_at, open_for_ms, code, cause, messages from connections order by conn
SELECT
    session,
    conn,
    min(received_at) FILTER (kind = 'open') AS opened_at,
    max(received_at) FILTER (kind = 'close') AS closed_at,
    (max(elapsed_ns) - min(elapsed_ns)) / 1e6 AS open_for_ms,
    any_value(try_cast(detail AS JSON) ->> '$.url') FILTER (kind = 'open') AS url,
    any_value(try_cast(try_cast(detail AS JSON) ->> '$.code' AS INTEGER)) FILTER (kind = 'close') AS code,
    any_value(try_cast(detail AS JSON) ->> '$.reason') FILTER (kind = 'close') AS reason,
    any_value(try_cast(detail AS JSON) ->> '$.cause') FILTER (kind = 'close') AS cause,
    count(*) FILTER (kind = 'message') AS messages,
    min(seq) AS first_seq,
    max(seq) AS last_seq
FROM events
WHERE kind IN ('message', 'open', 'close')
GROUP BY session, conn
