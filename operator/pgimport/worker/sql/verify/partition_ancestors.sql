-- Schema and name of each partition, and those of each partitioned table above it.
SELECT n.nspname::text, c.relname::text, m.nspname::text, a.relname::text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL pg_catalog.pg_partition_ancestors(c.oid) AS p (oid)
JOIN pg_catalog.pg_class AS a ON a.oid = p.oid
JOIN pg_catalog.pg_namespace AS m ON m.oid = a.relnamespace
WHERE c.relispartition AND c.relkind IN ('r', 'p') AND a.oid <> c.oid;
