-- Lists the large objects whose oid is at least :first and less than :end, each with its first :chunk_bytes bytes.
SELECT oid, pg_catalog.lo_get(oid, 0, %(chunk_bytes)s)
FROM pg_catalog.pg_largeobject_metadata
WHERE oid >= %(first)s::bigint::pg_catalog.oid AND oid::bigint < %(end)s
ORDER BY oid;
