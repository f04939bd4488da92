-- Lists all objects that the import excludes because of excluded schemas (`schemas`), extensions (`extensions`) or
-- relations (`relations`): catalog, oid, and the excluded object that it depends on, directly or indirectly.
-- A view depends on what its rule depends on, and a table on what its generated columns depend on.
WITH RECURSIVE root AS (
    SELECT n.tableoid::bigint AS classid, n.oid::bigint AS objid, 'SCHEMA ' || n.nspname AS title
    FROM pg_catalog.pg_namespace AS n
    WHERE n.nspname = ANY (%(schemas)s)
    UNION ALL
    SELECT e.tableoid::bigint, e.oid::bigint, 'EXTENSION ' || e.extname
    FROM pg_catalog.pg_extension AS e
    WHERE e.extname = ANY (%(extensions)s)
    UNION ALL
    SELECT c.tableoid::bigint, c.oid::bigint, 'TABLE ' || n.nspname || '.' || c.relname
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = ANY (%(relations)s)
), gone AS (
    SELECT classid, objid, title FROM root
    UNION
    SELECT
        CASE WHEN r.oid IS NULL AND c.oid IS NULL THEN d.classid::bigint
             ELSE 'pg_catalog.pg_class'::pg_catalog.regclass::bigint END,
        COALESCE(r.ev_class, c.adrelid, d.objid)::bigint,
        g.title
    FROM gone AS g
    JOIN pg_catalog.pg_depend AS d ON d.refclassid = g.classid::pg_catalog.oid AND d.refobjid = g.objid::pg_catalog.oid
    LEFT JOIN pg_catalog.pg_rewrite AS r
      ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid
     AND r.rulename = '_RETURN'
    LEFT JOIN (
        SELECT f.oid, f.adrelid
        FROM pg_catalog.pg_attrdef AS f
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attgenerated <> ''
    ) AS c ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND c.oid = d.objid
    -- An extension in a provider's schema is not excluded, because the operator creates it in the shadow.
    WHERE NOT (g.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass::bigint
               AND (d.classid = 'pg_catalog.pg_extension'::pg_catalog.regclass
                    OR EXISTS (SELECT FROM pg_catalog.pg_depend AS m
                               JOIN pg_catalog.pg_extension AS e ON e.oid = m.refobjid
                               WHERE m.classid = d.classid AND m.objid = d.objid AND m.deptype = 'e'
                                 AND m.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
                                 AND e.extname <> ALL (%(extensions)s))))
)
SELECT DISTINCT ON (classid, objid) classid, objid, title
FROM gone
ORDER BY classid, objid, title;
