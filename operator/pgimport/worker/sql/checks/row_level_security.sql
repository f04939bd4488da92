-- Tables with row level security: schema, name, forced on its owner too, whether it hides rows from this role.
SELECT n.nspname::text, c.relname::text, c.relforcerowsecurity, pg_catalog.row_security_active(c.oid)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity AND n.nspname <> ALL (%(left)s::text[])
ORDER BY 4 DESC, 1, 2
LIMIT 5000;
