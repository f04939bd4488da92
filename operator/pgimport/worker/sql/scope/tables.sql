-- Lists the ordinary and partitioned tables that a dump contains, except members of extensions.
-- Does not read their sizes, because pg_table_size waits for locks.
-- The column `root` is the table at which the rows of a partition must be counted. It is set for partitions of tables by
-- hash, unless the hashes of the keys are known to be the same in every database: the copy may have a row in another
-- partition. Hashes of enums and of reg* types follow OIDs, also in arrays, composite types and ranges.
WITH RECURSIVE hashed AS (
    -- The type that a key's operator class hashes also covers expressions and domains.
    SELECT DISTINCT p.partrelid AS oid
    FROM pg_catalog.pg_partitioned_table AS p
    CROSS JOIN LATERAL ROWS FROM (
        pg_catalog.unnest(p.partclass::pg_catalog.oid[]), pg_catalog.unnest(p.partcollation::pg_catalog.oid[])
    ) AS k (opclass, collation_oid)
    JOIN pg_catalog.pg_opclass AS o ON o.oid = k.opclass
    LEFT JOIN pg_catalog.pg_collation AS c ON c.oid = k.collation_oid
    WHERE p.partstrat = 'h'
      AND (o.opcnamespace <> 'pg_catalog'::pg_catalog.regnamespace
           OR NOT COALESCE(c.collisdeterministic, true)
           OR o.opcintype <> ALL (ARRAY[
               'bool', 'bpchar', 'bytea', '"char"', 'date', 'float4', 'float8', 'inet', 'int2', 'int4', 'int8',
               'interval', 'jsonb', 'macaddr', 'macaddr8', 'name', 'numeric', 'pg_lsn', 'text', 'tid', 'time', 'timetz',
               'timestamp', 'timestamptz', 'uuid', 'xid8'
           ]::pg_catalog.regtype[]))
), ancestry AS (
    SELECT i.inhrelid AS oid, i.inhparent AS ancestor, 1 AS level
    FROM pg_catalog.pg_inherits AS i
    JOIN pg_catalog.pg_class AS k ON k.oid = i.inhrelid AND k.relispartition
    UNION ALL
    SELECT a.oid, i.inhparent, a.level + 1
    FROM ancestry AS a
    JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = a.ancestor
), roots AS (
    -- The highest one: the partitions above it have the same rows as at the source.
    SELECT DISTINCT ON (a.oid) a.oid, a.ancestor AS root
    FROM ancestry AS a
    WHERE a.ancestor IN (SELECT oid FROM hashed)
    ORDER BY a.oid, a.level DESC
)
SELECT
    c.oid::bigint,
    n.nspname::text,
    c.relname::text,
    c.relkind::text,
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
ORDER BY 1;
