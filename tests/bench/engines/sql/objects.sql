-- Returns (kind, hash) for everything but rows that a copy must have.
SELECT 'columns', md5(string_agg(concat_ws('|', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod),
    a.attnotnull, a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid)), E'\n'
    ORDER BY a.attrelid::regclass::text COLLATE "C", a.attnum))
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'm', 'v')
  AND c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
UNION ALL
SELECT 'indexes', md5(string_agg(concat_ws('|', i.indexrelid::regclass, pg_get_indexdef(i.indexrelid), i.indisvalid,
    i.indisprimary, i.indisunique), E'\n' ORDER BY i.indexrelid::regclass::text COLLATE "C"))
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
UNION ALL
SELECT 'constraints', md5(string_agg(concat_ws('|', conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated),
    E'\n' ORDER BY conrelid::regclass::text COLLATE "C", conname COLLATE "C"))
FROM pg_constraint WHERE connamespace::regnamespace::text !~ '^(pg_|information_schema)'
UNION ALL
SELECT 'views', md5(string_agg(concat_ws('|', oid::regclass, pg_get_viewdef(oid), relispopulated), E'\n'
    ORDER BY oid::regclass::text COLLATE "C"))
FROM pg_class WHERE relkind IN ('v', 'm') AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
UNION ALL
SELECT 'sequences', md5(string_agg(concat_ws('|', schemaname, sequencename, last_value, increment_by), E'\n'
    ORDER BY schemaname COLLATE "C", sequencename COLLATE "C"))
FROM pg_sequences
UNION ALL
SELECT 'large objects', md5(string_agg(concat_ws('|', oid, md5(lo_get(oid))), E'\n' ORDER BY oid)) FROM pg_largeobject_metadata
