-- Lists settings that pg_dump does not set and that change the text it writes. Columns: lc_monetary and
-- standard_conforming_strings of new sessions, and the columns, domains and ranges of type money, by name.
WITH RECURSIVE money_type AS (
    SELECT 'pg_catalog.money'::pg_catalog.regtype::pg_catalog.oid AS oid
    UNION
    SELECT t.oid
    FROM money_type AS m
    CROSS JOIN pg_catalog.pg_type AS t
    LEFT JOIN pg_catalog.pg_range AS r ON r.rngtypid = t.oid
    WHERE m.oid IN (t.typelem, t.typbasetype, r.rngsubtype)
)
SELECT
    (SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'lc_monetary'),
    (SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'standard_conforming_strings'),
    ARRAY(
        SELECT pg_catalog.format('%s.%s.%s', n.nspname, c.relname, a.attname)
        FROM pg_catalog.pg_attribute AS a
        JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE a.atttypid IN (SELECT oid FROM money_type) AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'c')
          AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
        ORDER BY c.relkind NOT IN ('r', 'p'), 1
    );
