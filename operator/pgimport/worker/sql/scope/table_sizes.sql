-- Lists the sizes in bytes, with TOAST, of tables that the session has locked: oid, size.
SELECT oid::bigint, COALESCE(pg_catalog.pg_table_size(oid), 0)::bigint
FROM pg_catalog.unnest(%s::pg_catalog.oid[]) AS oid;
