-- Lists which of the given defaults (`defaults`) and constraints (`checks`) are part of a table's definition: oid of
-- the table, kind, name, catalog, oid.
SELECT d.adrelid::bigint, 'DEFAULT', a.attname::text, d.tableoid::bigint, d.oid::bigint
FROM pg_catalog.pg_attrdef AS d
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
WHERE d.oid = ANY (%(defaults)s)
UNION ALL
SELECT k.conrelid::bigint, 'CHECK CONSTRAINT', k.conname::text, k.tableoid::bigint, k.oid::bigint
FROM pg_catalog.pg_constraint AS k
WHERE k.oid = ANY (%(checks)s) AND k.contype = 'c' AND k.conrelid <> 0;
