-- Tables and populated materialized views that have rows, and whether to read them with ONLY. Hash partitions are read
-- through their root, because the partition of a row may depend on the oid of a type.
SELECT n.nspname, c.relname, c.relkind <> 'p'
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm') AND c.relispopulated AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_inherits AS i
    JOIN pg_catalog.pg_partitioned_table AS p ON p.partrelid = i.inhparent
    WHERE i.inhrelid = c.oid AND p.partstrat = 'h'
  );
