-- Lists columns whose values are the names of roles or of other objects: schema, table, column, type, and whether they
-- name roles. Also finds such types within arrays, domains, ranges and composite types.
WITH RECURSIVE naming AS (
    SELECT
        t.oid,
        t.typname::text AS leaf,
        t.typname IN ('regrole', 'aclitem') AS names_roles
    FROM pg_catalog.pg_type AS t
    WHERE t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace
      AND t.typname IN ('aclitem', 'regclass', 'regcollation', 'regconfig', 'regdictionary', 'regnamespace', 'regoper',
                        'regoperator', 'regproc', 'regprocedure', 'regrole', 'regtype')
    UNION
    SELECT t.oid, n.leaf, n.names_roles
    FROM naming AS n
    JOIN pg_catalog.pg_type AS t
      ON t.typbasetype = n.oid
      OR (t.typelem = n.oid AND t.typlen = -1)
      OR EXISTS (SELECT FROM pg_catalog.pg_range AS r WHERE r.rngtypid = t.oid AND r.rngsubtype = n.oid)
      OR EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
                 WHERE a.attrelid = t.typrelid AND a.atttypid = n.oid AND a.attnum > 0 AND NOT a.attisdropped)
)
SELECT s.nspname::text, c.relname::text, a.attname::text, pg_catalog.min(n.leaf), pg_catalog.bool_or(n.names_roles)
FROM naming AS n
JOIN pg_catalog.pg_attribute AS a ON a.atttypid = n.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p') AND NOT c.relispartition
JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace
WHERE c.relpersistence <> 't'
  AND s.nspname <> 'information_schema'
  AND s.nspname !~ '^pg_'
  AND s.nspname <> ALL (%(skipped_schemas)s::text[])
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e'
  )
GROUP BY s.nspname, c.relname, a.attname, a.attnum
ORDER BY 1, 2, a.attnum
LIMIT 5000;
