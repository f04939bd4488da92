-- Materialized views, and whether they are populated.
SELECT pg_catalog.format('%s.%s', n.nspname, c.relname), c.relispopulated::text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'm';
