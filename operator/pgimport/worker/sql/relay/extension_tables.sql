-- Tables of extensions that may hold rows of the user's own: oid of the extension, its name, schema, table, which rows
-- they are, and whether they can be read.
SELECT
    e.oid::bigint, e.extname::text, n.nspname::text, c.relname::text, marked.condition,
    pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
FROM pg_catalog.pg_extension AS e
CROSS JOIN LATERAL unnest(e.extconfig, e.extcondition) AS marked (oid, condition)
JOIN pg_catalog.pg_class AS c ON c.oid = marked.oid AND c.relkind = 'r'
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY 2, 3, 4;
