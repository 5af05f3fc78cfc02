-- One row a note: what people said of moments of a session afterwards (`wsrec note`), and what was noted while it was
-- recorded.
--
-- | session | VARCHAR | the session's id |
-- | elapsed_ns | BIGINT | the moment it speaks of, ns since the session began |
-- | received_at | TIMESTAMP WITH TIME ZONE | the same moment, UTC |
-- | text | VARCHAR | what it says |
-- | made_at | TIMESTAMP WITH TIME ZONE | when it was made |
-- | seq | BIGINT | of one that was recorded, `seq` of its event; null of one that was added afterwards |
--
-- Example: select elapsed_ns / 1e9 as at_s, received_at, text, made_at from notes order by elapsed_ns
SELECT session, elapsed_ns, received_at, text, made_at, NULL::BIGINT AS seq FROM noted
UNION ALL
SELECT session, elapsed_ns, received_at, try_cast(detail AS JSON) ->> '$.text', received_at, seq
FROM events WHERE kind = 'note'
