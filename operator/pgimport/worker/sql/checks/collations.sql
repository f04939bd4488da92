-- User-defined collations: name with schema, provider, and whether their version changed since they were created.
SELECT
    n.nspname || '.' || c.collname,
    c.collprovider::text,
    COALESCE(c.collversion <> pg_catalog.pg_collation_actual_version(c.oid), false)
FROM pg_catalog.pg_collation AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.collnamespace
WHERE c.oid >= 16384 AND n.nspname !~ '^pg_'
ORDER BY 1
LIMIT 1000;
