-- Lists foreign keys between tables: schema and name of the table, name of the key, schema and name of the referenced
-- table. Keys of partitions follow from those of the partitioned table.
SELECT n.nspname::text, c.relname::text, k.conname::text, rn.nspname::text, r.relname::text
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class AS r ON r.oid = k.confrelid
JOIN pg_catalog.pg_namespace AS rn ON rn.oid = r.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0
ORDER BY 1, 2, 3
LIMIT 5000;
