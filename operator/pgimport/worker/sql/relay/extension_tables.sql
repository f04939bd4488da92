-- Lists the configuration tables of extensions, which may hold the user's own rows. Columns: oid and name of the
-- extension, schema and name of the table, WHERE clause that selects these rows (or NULL), whether it is readable.
SELECT
    e.oid::bigint, e.extname::text, n.nspname::text, c.relname::text, configuration.condition,
    pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
FROM pg_catalog.pg_extension AS e
CROSS JOIN LATERAL unnest(e.extconfig, e.extcondition) AS configuration (oid, condition)
JOIN pg_catalog.pg_class AS c ON c.oid = configuration.oid AND c.relkind = 'r'
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY 2, 3, 4;
