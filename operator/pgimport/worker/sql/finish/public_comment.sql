-- Returns the comment on the schema public, if the schema exists.
SELECT pg_catalog.obj_description(n.oid, 'pg_namespace')
FROM pg_catalog.pg_namespace AS n
WHERE n.nspname = 'public';
