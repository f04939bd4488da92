-- Lists the members of all extensions except plpgsql, without the types that come with a table or another type.
-- Columns: extension, its version, title of the member; of an ordinary table also its schema, its name, whether a dump
-- contains rows of it, and the WHERE clause that selects them. Servers before 17 write json in titles with its schema.
SELECT
    e.extname::text, e.extversion,
    pg_catalog.upper(i.type) || ' '
      || pg_catalog.regexp_replace(i.identity, '[[:<:]]pg_catalog[.]json[[:>:]]', 'json', 'g'),
    n.nspname::text, c.relname::text, configuration.oid IS NOT NULL, NULLIF(configuration.condition, '')
FROM pg_catalog.pg_depend AS d
JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid
CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) AS i
LEFT JOIN pg_catalog.pg_type AS t ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = d.objid
LEFT JOIN pg_catalog.pg_class AS r ON r.oid = t.typrelid
LEFT JOIN pg_catalog.pg_class AS c
  ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid AND c.relkind = 'r'
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT u.oid, u.condition
    FROM ROWS FROM (pg_catalog.unnest(e.extconfig), pg_catalog.unnest(e.extcondition)) AS u (oid, condition)
) AS configuration ON configuration.oid = c.oid
WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
  AND d.deptype = 'e'
  AND e.extname <> 'plpgsql'
  AND i.identity IS NOT NULL
  AND COALESCE(r.relkind = 'c', true)
  AND COALESCE(t.typelem = 0 AND t.typtype <> 'm', true)
ORDER BY 1, 3;
