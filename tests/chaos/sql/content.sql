-- Returns one hash of everything that a database shows to the owner of its objects: definitions, rows, positions,
-- large objects.
WITH relations AS (
    SELECT c.oid, c.relkind, format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
),
lines (line) AS (
    SELECT format('%s %s', relkind, name) FROM relations
    UNION ALL
    SELECT format('column %s %s %s %s', name, attname, pg_catalog.format_type(atttypid, atttypmod), attnotnull)
    FROM relations JOIN pg_catalog.pg_attribute ON attrelid = oid
    WHERE attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT format('constraint %s %s %s', name, pg_catalog.pg_get_constraintdef(k.oid), convalidated)
    FROM relations JOIN pg_catalog.pg_constraint AS k ON k.conrelid = relations.oid
    WHERE k.contype <> 'n'
    UNION ALL
    SELECT format('index %s %s', name, pg_catalog.pg_get_indexdef(oid)) FROM relations WHERE relkind IN ('i', 'I')
    UNION ALL
    SELECT format('rows %s %s', name, pg_catalog.query_to_xml(
        format('SELECT * FROM ONLY %s AS one ORDER BY one::text COLLATE "C"', name), true, false, ''))
    FROM relations WHERE relkind IN ('r', 'm')
    UNION ALL
    SELECT format('sequence %s %s', name, pg_catalog.query_to_xml(
        format('SELECT last_value, is_called FROM %s', name), true, false, ''))
    FROM relations WHERE relkind = 'S'
    UNION ALL
    SELECT format('large object %s %s', oid, pg_catalog.md5(pg_catalog.lo_get(oid)))
    FROM pg_catalog.pg_largeobject_metadata
)
SELECT pg_catalog.md5(pg_catalog.string_agg(line, E'\n' ORDER BY line COLLATE "C")) FROM lines
