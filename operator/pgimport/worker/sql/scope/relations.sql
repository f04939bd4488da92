-- Lists all relations that a filter can match: oid, schema, name, the parent of a partition, and whether it is an unlogged
-- relation of a standby, which no session can read.
SELECT
    c.oid::bigint,
    n.nspname::text,
    c.relname::text,
    i.inhparent::bigint,
    c.relpersistence = 'u' AND pg_catalog.pg_is_in_recovery()
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = c.oid AND c.relispartition
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'
ORDER BY c.oid;
