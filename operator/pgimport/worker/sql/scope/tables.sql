-- Lists the ordinary and partitioned tables that a dump contains, except members of extensions.
-- The column `root` is the table at which the rows of a partition must be counted. It is set for tables partitioned
-- by hash of an enum: such hashes differ between databases, so the copy may have a row in another partition.
WITH RECURSIVE enum_hashed AS (
    SELECT p.partrelid AS oid
    FROM pg_catalog.pg_partitioned_table AS p
    WHERE p.partstrat = 'h'
      AND EXISTS (
        SELECT FROM pg_catalog.pg_attribute AS a
        JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
        LEFT JOIN pg_catalog.pg_type AS b ON b.oid = t.typbasetype
        WHERE a.attrelid = p.partrelid
          AND a.attnum = ANY (p.partattrs::pg_catalog.int2[])
          AND (t.typtype = 'e' OR b.typtype = 'e')
      )
), ancestry AS (
    SELECT i.inhrelid AS oid, i.inhparent AS ancestor
    FROM pg_catalog.pg_inherits AS i
    JOIN pg_catalog.pg_class AS k ON k.oid = i.inhrelid AND k.relispartition
    UNION ALL
    SELECT a.oid, i.inhparent
    FROM ancestry AS a
    JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = a.ancestor
), roots AS (
    SELECT a.oid, pg_catalog.max(a.ancestor) FILTER (WHERE NOT k.relispartition) AS root
    FROM ancestry AS a
    JOIN pg_catalog.pg_class AS k ON k.oid = a.ancestor
    GROUP BY a.oid
    HAVING pg_catalog.bool_or(a.ancestor IN (SELECT oid FROM enum_hashed))
)
SELECT
    c.oid::bigint,
    n.nspname::text,
    c.relname::text,
    c.relkind::text,
    COALESCE(pg_catalog.pg_table_size(c.oid), 0)::bigint,
    roots.root::bigint,
    pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN roots ON roots.oid = c.oid
WHERE c.relkind IN ('r', 'p')
  AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e'
  )
ORDER BY 5 DESC, 1;
