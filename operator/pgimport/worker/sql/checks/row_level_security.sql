-- Tables with row level security: schema, name, whether it is forced on the owner, and whether it applies to this role.
-- Excludes `skipped_schemas`, temporary tables of other sessions, and members of extensions, except for their
-- configuration tables, which hold users' rows.
WITH members AS MATERIALIZED (
    SELECT d.objid
    FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0 AND d.deptype = 'e'
), configured AS MATERIALIZED (
    SELECT pg_catalog.unnest(e.extconfig) AS oid FROM pg_catalog.pg_extension AS e
)
SELECT n.nspname::text, c.relname::text, c.relforcerowsecurity, pg_catalog.row_security_active(c.oid)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p')
  AND c.relrowsecurity
  AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'
  AND n.nspname <> ALL (%(skipped_schemas)s::text[])
  AND (c.oid NOT IN (SELECT objid FROM members) OR c.oid IN (SELECT oid FROM configured))
ORDER BY 4 DESC, 1, 2
LIMIT 5000;
