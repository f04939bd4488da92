-- Tables with row level security: schema, name, whether it is forced on the owner, and whether it applies to this role.
-- Excludes `skipped_schemas`.
SELECT n.nspname::text, c.relname::text, c.relforcerowsecurity, pg_catalog.row_security_active(c.oid)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity AND n.nspname <> ALL (%(skipped_schemas)s::text[])
ORDER BY 4 DESC, 1, 2
LIMIT 5000;
