-- Returns the names of the extensions in this database, and the comment on the current role.
SELECT
    (SELECT pg_catalog.array_agg(e.extname::text ORDER BY e.extname) FROM pg_catalog.pg_extension AS e),
    pg_catalog.shobj_description(r.oid, 'pg_authid')
FROM pg_catalog.pg_roles AS r
WHERE r.rolname = CURRENT_USER;
