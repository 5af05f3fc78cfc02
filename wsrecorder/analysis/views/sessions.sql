-- One row a session: the facts of its manifest.
--
-- | session | VARCHAR | the session's id |
-- | name | VARCHAR | a word for people |
-- | feed | VARCHAR | URL of the feed, credentials redacted, or the file it was imported from |
-- | started_at | TIMESTAMP WITH TIME ZONE | when it began |
-- | ended_at | TIMESTAMP WITH TIME ZONE | when its last event came |
-- | duration_s | DOUBLE | from one to the other, s |
-- | events | BIGINT | rows: frames and marks |
-- | messages | BIGINT | frames, both directions |
-- | size_bytes | BIGINT | payload bytes |
-- | types | JSON | frames by type, the most frequent first |
-- | connections | BIGINT | connections of the session |
-- | gaps | BIGINT | times in which frames may have been missed |
-- | sealed | BOOLEAN | whether the recording ended properly |
-- | dialect | VARCHAR | name of the feed's dialect |
-- | heartbeat_type | VARCHAR | type of its heartbeats, null if it has none |
-- | reconnects | BIGINT | connections after the first |
-- | longest_stall_ms | DOUBLE | longest time that the recorder's loop was held up, ms |
-- | host | VARCHAR | name of the machine that recorded it |
-- | tool | VARCHAR | program and version that recorded it |
-- | path | VARCHAR | where it is kept |
--
-- Example: select session, messages, gaps, duration_s from sessions order by started_at
SELECT
    content ->> '$.identity.id' AS session,
    content ->> '$.identity.name' AS name,
    content ->> '$.identity.feed' AS feed,
    (content ->> '$.start')::TIMESTAMPTZ AS started_at,
    (content ->> '$.end')::TIMESTAMPTZ AS ended_at,
    (content ->> '$.last_elapsed_ns')::BIGINT / 1e9 AS duration_s,
    (content ->> '$.events')::BIGINT AS events,
    (content ->> '$.messages')::BIGINT AS messages,
    (content ->> '$.size_bytes')::BIGINT AS size_bytes,
    content -> '$.types' AS types,
    (content ->> '$.connections')::BIGINT AS connections,
    (content ->> '$.gaps')::BIGINT AS gaps,
    (content ->> '$.sealed')::BOOLEAN AS sealed,
    content ->> '$.identity.dialect.name' AS dialect,
    content ->> '$.identity.dialect.heartbeat_type' AS heartbeat_type,
    (content ->> '$.health.reconnects')::BIGINT AS reconnects,
    (content ->> '$.health.longest_stall_ms')::DOUBLE AS longest_stall_ms,
    content ->> '$.identity.host' AS host,
    content ->> '$.identity.tool' AS tool,
    path
FROM manifests
