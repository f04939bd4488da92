-- Lists all relations that a filter can match: oid, schema, name, and the parent of a partition.
SELECT c.oid::bigint, n.nspname::text, c.relname::text, i.inhparent::bigint
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = c.oid AND c.relispartition
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'
ORDER BY c.oid;
