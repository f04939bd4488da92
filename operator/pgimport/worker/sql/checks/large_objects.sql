-- One row: number of large objects, their size in bytes, how many this role cannot read, and the lowest OID of those.
WITH readers AS MATERIALIZED (
    SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE pg_catalog.pg_has_role(r.oid, 'USAGE')
    UNION ALL
    SELECT 0  -- PUBLIC
), unrestricted AS (
    SELECT pg_catalog.current_setting('lo_compat_privileges')::bool OR r.rolsuper AS readable
    FROM pg_catalog.pg_roles AS r WHERE r.rolname = CURRENT_USER
), objects AS (
    SELECT m.oid, (SELECT readable FROM unrestricted)
        OR m.lomowner IN (SELECT oid FROM readers)
        OR EXISTS (
            SELECT FROM pg_catalog.aclexplode(m.lomacl) AS a
            WHERE a.privilege_type = 'SELECT' AND a.grantee IN (SELECT oid FROM readers)
        ) AS readable
    FROM pg_catalog.pg_largeobject_metadata AS m
)
SELECT
    pg_catalog.count(*),
    pg_catalog.pg_table_size('pg_catalog.pg_largeobject'::pg_catalog.regclass),
    pg_catalog.count(*) FILTER (WHERE NOT o.readable),
    pg_catalog.min(o.oid::bigint) FILTER (WHERE NOT o.readable)
FROM objects AS o;
