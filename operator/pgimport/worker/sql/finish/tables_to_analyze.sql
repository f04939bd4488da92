-- Lists the tables that the current role may analyze: its own, and those of roles whose privileges it has. Excludes
-- partitions, because ANALYZE of a partitioned table includes them.
SELECT n.nspname::text, c.relname::text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p')
  AND NOT c.relispartition
  AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'
  AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
ORDER BY c.relpages DESC, c.oid;
