-- Row level security policies: oid, schema, table, name, the roles they name (none for PUBLIC).
SELECT
    p.oid::bigint,
    n.nspname::text,
    c.relname::text,
    p.polname::text,
    ARRAY(SELECT r.rolname::text FROM pg_catalog.pg_roles AS r WHERE r.oid = ANY (p.polroles) ORDER BY 1)
FROM pg_catalog.pg_policy AS p
JOIN pg_catalog.pg_class AS c ON c.oid = p.polrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY p.oid;
