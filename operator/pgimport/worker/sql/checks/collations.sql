-- Collations that users made: schema and name, provider, whether their rules changed since.
SELECT
    n.nspname || '.' || c.collname,
    c.collprovider::text,
    COALESCE(c.collversion <> pg_catalog.pg_collation_actual_version(c.oid), false)
FROM pg_catalog.pg_collation AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.collnamespace
WHERE c.oid >= 16384 AND n.nspname !~ '^pg_'
ORDER BY 1
LIMIT 1000;
