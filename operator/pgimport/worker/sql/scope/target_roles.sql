-- Lists the names of all roles.
SELECT rolname::text FROM pg_catalog.pg_roles;
