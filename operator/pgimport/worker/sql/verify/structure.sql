-- Lists all named objects that a copy must have: kind, schema, table (or type), name, state, catalog, oid, and the oid
-- of the table.
-- Excludes members of extensions, and inherited constraints and triggers of partitions, which their parents represent.
-- Excludes NOT NULL constraints, which only PostgreSQL 18 and newer store in pg_constraint, unless they are not valid.
WITH own AS (
    SELECT n.oid, n.nspname::text AS name
    FROM pg_catalog.pg_namespace AS n
    WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
), member AS (
    SELECT d.classid, d.objid FROM pg_catalog.pg_depend AS d WHERE d.deptype = 'e' AND d.objsubid = 0
), relation AS (
    SELECT c.*, own.name AS schema
    FROM pg_catalog.pg_class AS c
    JOIN own ON own.oid = c.relnamespace
    WHERE c.relpersistence <> 't'
      AND NOT EXISTS (
        SELECT FROM member AS m WHERE m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND m.objid = c.oid
      )
)
SELECT
    CASE r.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'table' END,
    r.schema,
    r.relname::text,
    '',
    CASE WHEN r.relforcerowsecurity AND r.relrowsecurity THEN 'row security forced'
         WHEN r.relrowsecurity THEN 'row security' ELSE '' END,
    'pg_catalog.pg_class'::pg_catalog.regclass::bigint, r.oid::bigint, r.oid::bigint
FROM relation AS r
WHERE r.relkind IN ('r', 'p', 'v', 'm')
UNION ALL
SELECT
    'index', r.schema, r.relname::text, x.relname::text,
    CASE WHEN i.indisvalid THEN '' WHEN r.relkind = 'p' THEN 'invalid' ELSE 'unfinished' END,
    'pg_catalog.pg_class'::pg_catalog.regclass::bigint, x.oid::bigint, r.oid::bigint
FROM pg_catalog.pg_index AS i
JOIN relation AS r ON r.oid = i.indrelid
JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
UNION ALL
SELECT
    'constraint', r.schema, r.relname::text, k.conname::text, CASE WHEN k.convalidated THEN '' ELSE 'not valid' END,
    'pg_catalog.pg_constraint'::pg_catalog.regclass::bigint, k.oid::bigint, r.oid::bigint
FROM pg_catalog.pg_constraint AS k
JOIN relation AS r ON r.oid = k.conrelid
WHERE k.conparentid = 0 AND (k.contype IN ('c', 'f', 'p', 'u', 'x') OR k.contype = 'n' AND NOT k.convalidated)
UNION ALL
SELECT
    'constraint', own.name, t.typname::text, k.conname::text, CASE WHEN k.convalidated THEN '' ELSE 'not valid' END,
    'pg_catalog.pg_type'::pg_catalog.regclass::bigint, t.oid::bigint, 0
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_type AS t ON t.oid = k.contypid
JOIN own ON own.oid = t.typnamespace
WHERE k.contype = 'c'
  AND NOT EXISTS (
    SELECT FROM member AS m WHERE m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND m.objid = t.oid
  )
UNION ALL
SELECT
    'trigger', r.schema, r.relname::text, g.tgname::text, g.tgenabled::text,
    'pg_catalog.pg_trigger'::pg_catalog.regclass::bigint, g.oid::bigint, r.oid::bigint
FROM pg_catalog.pg_trigger AS g
JOIN relation AS r ON r.oid = g.tgrelid
WHERE NOT g.tgisinternal AND g.tgparentid = 0
UNION ALL
SELECT
    'policy', r.schema, r.relname::text, p.polname::text, '',
    'pg_catalog.pg_policy'::pg_catalog.regclass::bigint, p.oid::bigint, r.oid::bigint
FROM pg_catalog.pg_policy AS p
JOIN relation AS r ON r.oid = p.polrelid
UNION ALL
SELECT
    -- pg_get_function_identity_arguments returns NULL for a function that was dropped after the snapshot.
    'function', own.name, '',
    p.proname || '(' || pg_catalog.array_to_string(
        ARRAY(
            SELECT pg_catalog.format_type(argument.type, NULL)
            FROM unnest(p.proargtypes::pg_catalog.oid[]) WITH ORDINALITY AS argument (type, number)
            ORDER BY argument.number
        ),
        ', '
    ) || ')',
    '',
    'pg_catalog.pg_proc'::pg_catalog.regclass::bigint, p.oid::bigint, 0
FROM pg_catalog.pg_proc AS p
JOIN own ON own.oid = p.pronamespace
WHERE NOT EXISTS (
    SELECT FROM member AS m WHERE m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND m.objid = p.oid
  )
  -- PostgreSQL creates the constructors of a range type together with the type.
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'i'
  )
UNION ALL
SELECT
    'type', own.name, '', t.typname::text, t.typtype::text,
    'pg_catalog.pg_type'::pg_catalog.regclass::bigint, t.oid::bigint, 0
FROM pg_catalog.pg_type AS t
JOIN own ON own.oid = t.typnamespace
WHERE t.typtype IN ('d', 'e', 'r')
  AND NOT EXISTS (
    SELECT FROM member AS m WHERE m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND m.objid = t.oid
  )
UNION ALL
SELECT
    'rule', r.schema, r.relname::text, w.rulename::text, w.ev_enabled::text,
    'pg_catalog.pg_rewrite'::pg_catalog.regclass::bigint, w.oid::bigint, r.oid::bigint
FROM pg_catalog.pg_rewrite AS w
JOIN relation AS r ON r.oid = w.ev_class
WHERE w.rulename <> '_RETURN'
UNION ALL
SELECT
    'statistics', own.name, '', s.stxname::text, '',
    'pg_catalog.pg_statistic_ext'::pg_catalog.regclass::bigint, s.oid::bigint, r.oid::bigint
FROM pg_catalog.pg_statistic_ext AS s
JOIN own ON own.oid = s.stxnamespace
JOIN relation AS r ON r.oid = s.stxrelid
ORDER BY 1, 2, 3, 4;
