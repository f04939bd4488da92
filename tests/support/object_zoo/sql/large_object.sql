-- Content and comment of each large object.
SELECT m.oid::text,
    pg_catalog.md5(pg_catalog.lo_get(m.oid)) || ' ' || COALESCE(pg_catalog.obj_description(m.oid, 'pg_largeobject'), '')
FROM pg_catalog.pg_largeobject_metadata AS m;
