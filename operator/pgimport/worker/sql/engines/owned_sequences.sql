-- Lists the sequences that belong to columns of a table (`schema` and `name`). Columns: schema and name of the sequence,
-- column, whether the sequence descends.
SELECT n.nspname::text, s.relname::text, a.attname::text, q.seqincrement < 0
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS m ON m.oid = c.relnamespace
JOIN pg_catalog.pg_depend AS d
  ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = c.oid AND d.deptype IN ('a', 'i')
 AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
JOIN pg_catalog.pg_sequence AS q ON q.seqrelid = d.objid
JOIN pg_catalog.pg_class AS s ON s.oid = d.objid
JOIN pg_catalog.pg_namespace AS n ON n.oid = s.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
WHERE m.nspname = %(schema)s AND c.relname = %(name)s
ORDER BY 1, 2;
