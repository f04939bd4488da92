-- Lists all extensions except plpgsql, which every database has: name, version, schema, number of configuration tables.
SELECT e.extname::text, e.extversion, n.nspname::text, COALESCE(pg_catalog.cardinality(e.extconfig), 0)
FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname <> 'plpgsql'
ORDER BY e.extname;
