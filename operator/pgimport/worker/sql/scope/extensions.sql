-- Every extension but plpgsql, which is always there: name, version, schema, how many tables hold rows of users.
SELECT e.extname::text, e.extversion, n.nspname::text, COALESCE(pg_catalog.cardinality(e.extconfig), 0)
FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname <> 'plpgsql'
ORDER BY e.extname;
