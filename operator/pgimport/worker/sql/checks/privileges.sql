-- Relations of a dump that this role cannot read: kind, schema, name, and whether it lacks USAGE on the schema.
-- Excludes `skipped_schemas` and members of extensions, except for their configuration tables, which hold users' rows.
WITH members AS MATERIALIZED (
    SELECT d.objid
    FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0 AND d.deptype = 'e'
), configured AS MATERIALIZED (
    SELECT pg_catalog.unnest(e.extconfig) AS oid FROM pg_catalog.pg_extension AS e
)
SELECT c.relkind::text, n.nspname::text, c.relname::text, NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'S')
  AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'
  AND n.nspname <> ALL (%(skipped_schemas)s::text[])
  AND (c.oid NOT IN (SELECT objid FROM members) OR c.oid IN (SELECT oid FROM configured))
  AND NOT (
    pg_catalog.has_schema_privilege(n.oid, 'USAGE')
    AND CASE WHEN c.relkind = 'S' THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT')
             ELSE pg_catalog.has_table_privilege(c.oid, 'SELECT') END
  )
ORDER BY 2, 3
LIMIT 5000;
