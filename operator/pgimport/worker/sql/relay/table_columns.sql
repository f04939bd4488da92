-- Lists the tables with the given oids. Columns: oid, names of the columns that COPY transfers, whether the table is
-- neither a partition nor a parent, number of indexes, names and types of columns whose binary form cannot be copied.
-- The binary form of reg* types, arrays and composite types contains oids, which differ between databases. Generated
-- columns are excluded: the target computes them.
WITH RECURSIVE containing_types (part, whole) AS (
    SELECT t.typelem, t.oid FROM pg_catalog.pg_type AS t WHERE t.typelem <> 0
    UNION ALL
    SELECT t.typbasetype, t.oid FROM pg_catalog.pg_type AS t WHERE t.typbasetype <> 0
    UNION ALL
    SELECT r.rngsubtype, r.rngtypid FROM pg_catalog.pg_range AS r
    UNION ALL
    SELECT r.rngtypid, r.rngmultitypid FROM pg_catalog.pg_range AS r
), text_only AS (
    SELECT t.oid
    FROM pg_catalog.pg_type AS t
    LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem
    WHERE t.typsend = 0
       OR t.typtype IN ('c', 'p')
       OR t.oid IN (
        'pg_catalog.regproc'::pg_catalog.regtype, 'pg_catalog.regprocedure'::pg_catalog.regtype,
        'pg_catalog.regoper'::pg_catalog.regtype, 'pg_catalog.regoperator'::pg_catalog.regtype,
        'pg_catalog.regclass'::pg_catalog.regtype, 'pg_catalog.regtype'::pg_catalog.regtype,
        'pg_catalog.regrole'::pg_catalog.regtype, 'pg_catalog.regnamespace'::pg_catalog.regtype,
        'pg_catalog.regconfig'::pg_catalog.regtype, 'pg_catalog.regdictionary'::pg_catalog.regtype,
        'pg_catalog.regcollation'::pg_catalog.regtype
       )
       OR e.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace
    UNION
    SELECT c.whole
    FROM text_only AS o
    JOIN containing_types AS c ON c.part = o.oid
), copied_columns AS (
    SELECT a.attrelid, a.attnum, a.attname::text AS name, a.atttypid, a.atttypmod
    FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = ANY (%(tables)s::pg_catalog.oid[])
      AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
), text_columns AS (
    SELECT a.attrelid,
           pg_catalog.array_agg(ARRAY[a.name, pg_catalog.format_type(a.atttypid, a.atttypmod)] ORDER BY a.attnum)
               AS columns
    FROM copied_columns AS a
    JOIN text_only AS o ON o.oid = a.atttypid
    GROUP BY a.attrelid
), names AS (
    SELECT a.attrelid, pg_catalog.array_agg(a.name ORDER BY a.attnum) AS names
    FROM copied_columns AS a
    GROUP BY a.attrelid
)
SELECT
    c.oid::bigint,
    COALESCE(n.names, '{}'),
    NOT c.relispartition AND NOT c.relhassubclass,
    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid),
    COALESCE(t.columns, '{}')
FROM pg_catalog.pg_class AS c
LEFT JOIN names AS n ON n.attrelid = c.oid
LEFT JOIN text_columns AS t ON t.attrelid = c.oid
WHERE c.oid = ANY (%(tables)s::pg_catalog.oid[]);
