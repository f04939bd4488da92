-- Lists all schemas: oid and name.
SELECT oid::bigint, nspname::text FROM pg_catalog.pg_namespace ORDER BY oid;
