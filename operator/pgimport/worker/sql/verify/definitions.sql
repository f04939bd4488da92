-- Lists the definitions that a copy must have, as statements of this server. Columns: kind, schema, relation (or type),
-- name, catalog, oid, oid of the relation, statement, operators that it uses. CASE a WHEN b does not print its
-- operator, but the server records that the object depends on it. Operators of pg_catalog are not recorded. The
-- statement is NULL if the object was dropped after the transaction's snapshot: pg_get_viewdef and the like read the
-- current catalogs. Excludes the same objects as structure.sql. :kinds selects kinds; the server skips the other
-- branches.
WITH own AS (
    SELECT n.oid, n.nspname::text AS name
    FROM pg_catalog.pg_namespace AS n
    WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
), member AS (
    SELECT d.classid, d.objid FROM pg_catalog.pg_depend AS d WHERE d.deptype = 'e' AND d.objsubid = 0
), relation AS (
    SELECT c.*, own.name AS schema, pg_catalog.format('%%I.%%I', own.name, c.relname) AS title
    FROM pg_catalog.pg_class AS c
    JOIN own ON own.oid = c.relnamespace
    WHERE c.relpersistence <> 't'
      AND NOT EXISTS (
        SELECT FROM member AS m WHERE m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND m.objid = c.oid
      )
), type AS (
    SELECT t.*, own.name AS schema, pg_catalog.format('%%I.%%I', own.name, t.typname) AS title
    FROM pg_catalog.pg_type AS t
    JOIN own ON own.oid = t.typnamespace
    WHERE NOT EXISTS (
        SELECT FROM member AS m WHERE m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND m.objid = t.oid
    )
), definition (kind, schema, relation, name, catalog, oid, owner_oid, statement) AS (
    SELECT
        'view', r.schema, r.relname::text, '', 'pg_catalog.pg_class'::pg_catalog.regclass::bigint, r.oid::bigint,
        r.oid::bigint,
        pg_catalog.concat(
            'CREATE OR REPLACE VIEW ', r.title, ' WITH (' || pg_catalog.array_to_string(r.reloptions, ', ') || ')', ' AS '
        ) || pg_catalog.pg_get_viewdef(r.oid)
    FROM relation AS r
    WHERE r.relkind = 'v'
    UNION ALL
    SELECT
        'materialized view', r.schema, r.relname::text, '', 'pg_catalog.pg_class'::pg_catalog.regclass::bigint,
        r.oid::bigint, r.oid::bigint,
        pg_catalog.concat(
            'CREATE MATERIALIZED VIEW ', r.title, ' WITH (' || pg_catalog.array_to_string(r.reloptions, ', ') || ')',
            ' AS '
        ) || pg_catalog.rtrim(pg_catalog.pg_get_viewdef(r.oid), ';') || ' WITH NO DATA'
    FROM relation AS r
    WHERE r.relkind = 'm'
    UNION ALL
    SELECT
        'columns', r.schema, r.relname::text, '', 'pg_catalog.pg_class'::pg_catalog.regclass::bigint, r.oid::bigint,
        r.oid::bigint,
        pg_catalog.string_agg(
            pg_catalog.concat(
                pg_catalog.quote_ident(a.attname), ' ', pg_catalog.format_type(a.atttypid, a.atttypmod),
                CASE WHEN a.attcollation <> t.typcollation THEN ' COLLATE ' || pg_catalog.quote_ident(k.collname) END,
                CASE WHEN a.attnotnull THEN ' NOT NULL' END,
                -- Before 17, a partition does not have the identity of its parent, and from then on always.
                CASE WHEN NOT r.relispartition THEN
                    CASE a.attidentity WHEN 'a' THEN ' ALWAYS AS IDENTITY' WHEN 'd' THEN ' BY DEFAULT AS IDENTITY' END
                END
            ),
            ', ' ORDER BY a.attnum
        )
    FROM relation AS r
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_catalog.pg_collation AS k ON k.oid = a.attcollation
    WHERE r.relkind IN ('r', 'p', 'v', 'm', 'c')
    GROUP BY r.schema, r.relname, r.oid
    UNION ALL
    SELECT
        'partition key', r.schema, r.relname::text, '', 'pg_catalog.pg_class'::pg_catalog.regclass::bigint,
        r.oid::bigint, r.oid::bigint, pg_catalog.pg_get_partkeydef(r.oid)
    FROM relation AS r
    WHERE r.relkind = 'p'
    UNION ALL
    SELECT
        'partition bound', r.schema, r.relname::text, '', 'pg_catalog.pg_class'::pg_catalog.regclass::bigint,
        r.oid::bigint, r.oid::bigint, pg_catalog.pg_get_expr(r.relpartbound, r.oid)
    FROM relation AS r
    WHERE r.relispartition AND r.relkind IN ('r', 'p')
    UNION ALL
    SELECT
        'rule', r.schema, r.relname::text, w.rulename::text, 'pg_catalog.pg_rewrite'::pg_catalog.regclass::bigint,
        w.oid::bigint, r.oid::bigint, pg_catalog.pg_get_ruledef(w.oid)
    FROM pg_catalog.pg_rewrite AS w
    JOIN relation AS r ON r.oid = w.ev_class
    WHERE w.rulename <> '_RETURN'
    UNION ALL
    SELECT
        'trigger', r.schema, r.relname::text, g.tgname::text, 'pg_catalog.pg_trigger'::pg_catalog.regclass::bigint,
        g.oid::bigint, r.oid::bigint, pg_catalog.pg_get_triggerdef(g.oid)
    FROM pg_catalog.pg_trigger AS g
    JOIN relation AS r ON r.oid = g.tgrelid
    WHERE NOT g.tgisinternal AND g.tgparentid = 0
    UNION ALL
    SELECT
        'policy', r.schema, r.relname::text, p.polname::text, 'pg_catalog.pg_policy'::pg_catalog.regclass::bigint,
        p.oid::bigint, r.oid::bigint,
        pg_catalog.concat(
            'CREATE POLICY ', pg_catalog.quote_ident(p.polname), ' ON ', r.title,
            CASE WHEN NOT p.polpermissive THEN ' AS RESTRICTIVE' END,
            ' FOR ' || CASE p.polcmd
                WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
            ' TO ' || (
                SELECT pg_catalog.string_agg(COALESCE(pg_catalog.quote_ident(o.rolname), 'PUBLIC'), ', ' ORDER BY o.rolname)
                FROM (SELECT DISTINCT u.oid FROM unnest(p.polroles) AS u (oid)) AS role -- CREATE POLICY may repeat one
                LEFT JOIN pg_catalog.pg_roles AS o ON o.oid = role.oid
            ),
            ' USING (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')',
            ' WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')'
        )
    FROM pg_catalog.pg_policy AS p
    JOIN relation AS r ON r.oid = p.polrelid
    UNION ALL
    SELECT
        'default', r.schema, r.relname::text, a.attname::text, 'pg_catalog.pg_attrdef'::pg_catalog.regclass::bigint,
        e.oid::bigint, r.oid::bigint,
        pg_catalog.format('ALTER %%s %%s ALTER COLUMN %%I SET DEFAULT ',
            CASE r.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE ONLY' END, r.title, a.attname)
            || pg_catalog.pg_get_expr(e.adbin, e.adrelid)
    FROM pg_catalog.pg_attrdef AS e
    JOIN relation AS r ON r.oid = e.adrelid
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = e.adrelid AND a.attnum = e.adnum
    WHERE a.attgenerated = ''
    UNION ALL
    SELECT
        'generated column', r.schema, r.relname::text, a.attname::text,
        'pg_catalog.pg_attrdef'::pg_catalog.regclass::bigint, e.oid::bigint, r.oid::bigint,
        pg_catalog.format('ALTER TABLE %%s ALTER COLUMN %%I SET EXPRESSION AS (', r.title, a.attname)
            || pg_catalog.pg_get_expr(e.adbin, e.adrelid) || ')'
    FROM pg_catalog.pg_attrdef AS e
    JOIN relation AS r ON r.oid = e.adrelid
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = e.adrelid AND a.attnum = e.adnum
    WHERE a.attgenerated <> ''
    UNION ALL
    SELECT
        'constraint', r.schema, r.relname::text, k.conname::text,
        'pg_catalog.pg_constraint'::pg_catalog.regclass::bigint, k.oid::bigint, r.oid::bigint,
        pg_catalog.format('ALTER TABLE %%s%%s ADD CONSTRAINT %%I ',
            CASE WHEN r.relkind = 'p' OR k.contype = 'c' AND NOT k.connoinherit THEN '' ELSE 'ONLY ' END, r.title, k.conname)
            || pg_catalog.pg_get_constraintdef(k.oid)
    FROM pg_catalog.pg_constraint AS k
    JOIN relation AS r ON r.oid = k.conrelid
    WHERE k.conparentid = 0 AND k.contype IN ('c', 'f', 'p', 'u', 'x')
    UNION ALL
    SELECT
        'domain constraint', t.schema, t.typname::text, k.conname::text,
        'pg_catalog.pg_constraint'::pg_catalog.regclass::bigint, k.oid::bigint, 0,
        pg_catalog.format('ALTER DOMAIN %%s ADD CONSTRAINT %%I ', t.title, k.conname)
            || pg_catalog.pg_get_constraintdef(k.oid)
    FROM pg_catalog.pg_constraint AS k
    JOIN type AS t ON t.oid = k.contypid
    WHERE k.contype = 'c'
    UNION ALL
    SELECT
        'domain', t.schema, '', t.typname::text, 'pg_catalog.pg_type'::pg_catalog.regclass::bigint, t.oid::bigint, 0,
        pg_catalog.concat(
            pg_catalog.format_type(t.typbasetype, t.typtypmod), CASE WHEN t.typnotnull THEN ' NOT NULL' END
        )
    FROM type AS t
    WHERE t.typtype = 'd'
    UNION ALL
    SELECT
        'domain default', t.schema, '', t.typname::text, 'pg_catalog.pg_type'::pg_catalog.regclass::bigint,
        t.oid::bigint, 0,
        pg_catalog.format('ALTER DOMAIN %%s SET DEFAULT ', t.title) || pg_catalog.pg_get_expr(t.typdefaultbin, 0)
    FROM type AS t
    WHERE t.typtype = 'd' AND t.typdefaultbin IS NOT NULL
    UNION ALL
    SELECT
        'enum', t.schema, '', t.typname::text, 'pg_catalog.pg_type'::pg_catalog.regclass::bigint, t.oid::bigint, 0,
        pg_catalog.string_agg(pg_catalog.quote_literal(l.enumlabel), ', ' ORDER BY l.enumsortorder)
    FROM type AS t
    JOIN pg_catalog.pg_enum AS l ON l.enumtypid = t.oid
    GROUP BY t.schema, t.typname, t.oid
    UNION ALL
    SELECT
        'index', r.schema, r.relname::text, x.relname::text, 'pg_catalog.pg_class'::pg_catalog.regclass::bigint,
        x.oid::bigint, r.oid::bigint, pg_catalog.pg_get_indexdef(x.oid)
    FROM pg_catalog.pg_index AS i
    JOIN relation AS r ON r.oid = i.indrelid
    JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
    WHERE i.indisvalid OR r.relkind = 'p'
    UNION ALL
    SELECT
        'statistics', own.name, '', s.stxname::text, 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass::bigint,
        s.oid::bigint, s.stxrelid::bigint, pg_catalog.pg_get_statisticsobjdef(s.oid)
    FROM pg_catalog.pg_statistic_ext AS s
    JOIN own ON own.oid = s.stxnamespace
    JOIN relation AS r ON r.oid = s.stxrelid
    UNION ALL
    SELECT
        'function', own.name, '',
        p.proname || '(' || pg_catalog.array_to_string(
            ARRAY(
                SELECT pg_catalog.format_type(argument.type, NULL)
                FROM unnest(p.proargtypes::pg_catalog.oid[]) WITH ORDINALITY AS argument (type, number)
                ORDER BY argument.number
            ),
            ', '
        ) || ')',
        'pg_catalog.pg_proc'::pg_catalog.regclass::bigint, p.oid::bigint, 0,
        CASE
            WHEN p.prokind <> 'a' THEN pg_catalog.pg_get_functiondef(p.oid)
            ELSE pg_catalog.concat(
                'AGGREGATE ', pg_catalog.pg_get_function_arguments(p.oid), ' SFUNC ', g.aggtransfn::pg_catalog.regprocedure,
                ' STYPE ', pg_catalog.format_type(g.aggtranstype, NULL), ' FINALFUNC ', g.aggfinalfn::pg_catalog.regprocedure,
                ' INITCOND ' || pg_catalog.quote_literal(g.agginitval), ' COMBINEFUNC ',
                g.aggcombinefn::pg_catalog.regprocedure, ' MSFUNC ', g.aggmtransfn::pg_catalog.regprocedure, ' KIND ', g.aggkind,
                ' SORTOP ', g.aggsortop::pg_catalog.regoperator
            )
        END
    FROM pg_catalog.pg_proc AS p
    JOIN own ON own.oid = p.pronamespace
    LEFT JOIN pg_catalog.pg_aggregate AS g ON g.aggfnoid = p.oid
    WHERE NOT EXISTS (
        SELECT FROM member AS m WHERE m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND m.objid = p.oid
      )
      AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'i'
      )
), operator_use AS (
    SELECT
        CASE WHEN w.oid IS NULL THEN d.classid ELSE 'pg_catalog.pg_class'::pg_catalog.regclass END::bigint AS catalog,
        COALESCE(w.ev_class, d.objid)::bigint AS oid,
        pg_catalog.array_to_string(
            pg_catalog.array_agg(DISTINCT d.refobjid::pg_catalog.regoperator::text), ', '
        ) AS operators
    FROM pg_catalog.pg_depend AS d
    LEFT JOIN pg_catalog.pg_rewrite AS w
      ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND w.oid = d.objid AND w.rulename = '_RETURN'
    WHERE d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass
    GROUP BY 1, 2
)
SELECT d.kind, d.schema, d.relation, d.name, d.catalog, d.oid, d.owner_oid, d.statement, COALESCE(u.operators, '')
FROM definition AS d
LEFT JOIN operator_use AS u
  ON u.catalog = d.catalog AND u.oid = d.oid AND d.kind NOT IN ('columns', 'partition bound', 'domain', 'enum')
WHERE d.kind = ANY (%(kinds)s)
ORDER BY d.kind, d.schema, d.relation, d.name;
