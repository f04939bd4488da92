-- Lists the relation :oid and the views and materialised views that depend on it, in the order in which they can be
-- created. Columns: kind, schema, name, oid.
WITH RECURSIVE dependent (oid, depth) AS (
    SELECT %(oid)s::bigint::pg_catalog.oid, 0
    UNION
    SELECT w.ev_class, v.depth + 1
    FROM dependent AS v
    JOIN pg_catalog.pg_depend AS d
      ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = v.oid
     AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
    JOIN pg_catalog.pg_rewrite AS w ON w.oid = d.objid AND w.rulename = '_RETURN' AND w.ev_class <> v.oid
)
SELECT CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, n.nspname::text, c.relname::text, c.oid::bigint
FROM dependent AS v
JOIN pg_catalog.pg_class AS c ON c.oid = v.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
GROUP BY c.oid, c.relkind, n.nspname, c.relname
ORDER BY pg_catalog.max(v.depth), 2, 3;
