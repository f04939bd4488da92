-- Lists the configuration tables of the extensions in this database. Columns: schema, table, extension, WHERE clause
-- that selects users' rows (or NULL), whether these rows can be deleted, whether the extension has an event trigger,
-- names of the columns, types of the columns.
SELECT
    n.nspname::text, c.relname::text, e.extname::text, NULLIF(configuration.condition, ''),
    pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_table_privilege(c.oid, 'DELETE'),
    EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid AND d.deptype = 'e'
          AND d.classid = 'pg_catalog.pg_event_trigger'::pg_catalog.regclass
    ),
    attributes.names, attributes.types
FROM pg_catalog.pg_extension AS e
CROSS JOIN LATERAL unnest(e.extconfig, e.extcondition) AS configuration (oid, condition)
JOIN pg_catalog.pg_class AS c ON c.oid = configuration.oid AND c.relkind IN ('r', 'p')
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT
        pg_catalog.array_agg(a.attname::text ORDER BY a.attnum) AS names,
        pg_catalog.array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum) AS types
    FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
) AS attributes
WHERE attributes.names IS NOT NULL
ORDER BY 1, 2;
