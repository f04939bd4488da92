-- Removes the statistics of the columns and index expressions of a relation. Exists since PostgreSQL 18.
SELECT pg_catalog.pg_clear_attribute_stats(n.nspname::text, c.relname::text, a.attname::text, kind.inherited)
FROM pg_catalog.pg_namespace AS n
JOIN pg_catalog.pg_class AS r ON r.relnamespace = n.oid
CROSS JOIN LATERAL (
  SELECT r.oid UNION ALL SELECT i.indexrelid FROM pg_catalog.pg_index AS i WHERE i.indrelid = r.oid
) AS part (oid)
JOIN pg_catalog.pg_class AS c ON c.oid = part.oid
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
CROSS JOIN (VALUES (false), (true)) AS kind (inherited)
WHERE n.nspname = %s AND r.relname = %s;
