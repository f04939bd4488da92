-- Lists the tables with the given oids. Columns: oid, names of the columns that COPY transfers, whether the table is
-- neither a partition nor a parent, number of indexes, names and types of columns whose binary form cannot be copied.
-- The binary form of reg* types, arrays and composite types contains oids, which differ between databases. Generated
-- columns are excluded: the target computes them.
WITH RECURSIVE text_only AS (
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
    SELECT t.oid
    FROM text_only AS o
    CROSS JOIN pg_catalog.pg_type AS t
    LEFT JOIN pg_catalog.pg_range AS r ON r.rngtypid = t.oid
    WHERE o.oid IN (t.typelem, t.typbasetype, r.rngsubtype)
)
SELECT
    c.oid::bigint,
    ARRAY(
        SELECT a.attname::text
        FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        ORDER BY a.attnum
    ),
    NOT c.relispartition AND NOT c.relhassubclass,
    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid),
    ARRAY(
        SELECT ARRAY[a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod)]
        FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
          AND a.atttypid IN (SELECT oid FROM text_only)
        ORDER BY a.attnum
    )
FROM pg_catalog.pg_class AS c
WHERE c.oid = ANY (%s::pg_catalog.oid[]);
