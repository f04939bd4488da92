-- Lists the relations of the current role in which the last ANALYZE found no row, although statistics of earlier rows
-- can be left. `hidden`: also those whose statistics pg_stats hides because of FORCE ROW LEVEL SECURITY.
SELECT n.nspname::text, c.relname::text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm')
  AND c.relpersistence <> 't'
  AND c.reltuples = 0
  AND n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'
  AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
  AND (
    (c.relforcerowsecurity AND %(hidden)s)
    OR EXISTS (
      SELECT FROM pg_catalog.pg_index AS i
      JOIN pg_catalog.pg_class AS ic ON ic.oid = i.indexrelid
      JOIN pg_catalog.pg_stats AS s ON s.schemaname = n.nspname AND s.tablename = ic.relname
      WHERE i.indrelid = c.oid
    )
    OR EXISTS (SELECT FROM pg_catalog.pg_stats AS s WHERE s.schemaname = n.nspname AND s.tablename = c.relname)
    OR EXISTS (SELECT FROM pg_catalog.pg_stats_ext AS s WHERE s.schemaname = n.nspname AND s.tablename = c.relname)
  )
ORDER BY c.relispartition, c.oid;
