-- What cannot come along: foreign tables, the views and materialised views that read them, and the indexes of those.
WITH RECURSIVE gone AS (
    SELECT c.oid
    FROM pg_catalog.pg_class AS c
    WHERE c.relkind = 'f'
    UNION
    SELECT v.oid
    FROM gone AS g
    JOIN pg_catalog.pg_depend AS d
      ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = g.oid
     AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
    JOIN pg_catalog.pg_rewrite AS r ON r.oid = d.objid
    JOIN pg_catalog.pg_class AS v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm')
)
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid IN (SELECT oid FROM gone)
   OR c.oid IN (SELECT i.indexrelid FROM pg_catalog.pg_index AS i JOIN gone AS g ON g.oid = i.indrelid)
ORDER BY c.oid;
