-- Lists the tables with the given oids. Columns: oid, names of the columns that COPY transfers, whether the table is
-- neither a partition nor a parent, number of indexes. Generated columns are excluded: the target computes them.
SELECT
    c.oid::bigint,
    ARRAY(
        SELECT a.attname::text
        FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        ORDER BY a.attnum
    ),
    NOT c.relispartition AND NOT c.relhassubclass,
    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid)
FROM pg_catalog.pg_class AS c
WHERE c.oid = ANY (%s::pg_catalog.oid[]);
