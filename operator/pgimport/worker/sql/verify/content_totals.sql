-- Counts tables, and indexes including those of keys.
SELECT
    pg_catalog.count(*) FILTER (WHERE c.relkind IN ('r', 'p')),
    pg_catalog.count(*) FILTER (WHERE c.relkind IN ('i', 'I'))
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'
  );
