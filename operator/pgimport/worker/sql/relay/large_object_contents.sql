-- Large objects (from :first up to :end) with what each begins with (:piece bytes).
SELECT oid, pg_catalog.lo_get(oid, 0, %(piece)s)
FROM pg_catalog.pg_largeobject_metadata
WHERE oid >= %(first)s::bigint::pg_catalog.oid AND oid::bigint < %(end)s
ORDER BY oid;
