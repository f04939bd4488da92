-- Lists those of the given objects (`catalogs` and `oids`) that a dump lists on their own: catalog, oid, and the title
-- that a dump's table of contents would give. Leaves out parts of a table, such as indexes, and members of
-- extensions.
WITH given AS (
    SELECT g.classid::pg_catalog.oid AS classid, g.objid::pg_catalog.oid AS objid
    FROM ROWS FROM (
        pg_catalog.unnest(%(catalogs)s::bigint[]), pg_catalog.unnest(%(oids)s::bigint[])
    ) AS g (classid, objid)
), named AS (
    SELECT c.tableoid AS classid, c.oid AS objid, n.nspname AS schema, c.relname::text AS name,
        CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE'
             WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
    UNION ALL
    SELECT p.tableoid, p.oid, n.nspname,
        p.proname || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')',
        CASE p.prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END
    FROM pg_catalog.pg_proc AS p
    JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    UNION ALL
    SELECT t.tableoid, t.oid, n.nspname, t.typname, CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END
    FROM pg_catalog.pg_type AS t
    JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
    LEFT JOIN pg_catalog.pg_class AS c ON c.oid = t.typrelid
    -- Neither row types of tables, nor array and multirange types, which come with another type.
    WHERE COALESCE(c.relkind = 'c', true) AND t.typelem = 0 AND t.typtype <> 'm'
    UNION ALL
    SELECT o.tableoid, o.oid, n.nspname, o.oprname, 'OPERATOR'
    FROM pg_catalog.pg_operator AS o
    JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace
    UNION ALL
    SELECT o.tableoid, o.oid, n.nspname, o.opcname, 'OPERATOR CLASS'
    FROM pg_catalog.pg_opclass AS o
    JOIN pg_catalog.pg_namespace AS n ON n.oid = o.opcnamespace
    UNION ALL
    SELECT o.tableoid, o.oid, n.nspname, o.opfname, 'OPERATOR FAMILY'
    FROM pg_catalog.pg_opfamily AS o
    JOIN pg_catalog.pg_namespace AS n ON n.oid = o.opfnamespace
    UNION ALL
    SELECT l.tableoid, l.oid, n.nspname, l.collname, 'COLLATION'
    FROM pg_catalog.pg_collation AS l
    JOIN pg_catalog.pg_namespace AS n ON n.oid = l.collnamespace
    UNION ALL
    SELECT v.tableoid, v.oid, n.nspname, v.conname, 'CONVERSION'
    FROM pg_catalog.pg_conversion AS v
    JOIN pg_catalog.pg_namespace AS n ON n.oid = v.connamespace
    UNION ALL
    SELECT s.tableoid, s.oid, n.nspname, s.cfgname, 'TEXT SEARCH CONFIGURATION'
    FROM pg_catalog.pg_ts_config AS s
    JOIN pg_catalog.pg_namespace AS n ON n.oid = s.cfgnamespace
    UNION ALL
    SELECT s.tableoid, s.oid, n.nspname, s.dictname, 'TEXT SEARCH DICTIONARY'
    FROM pg_catalog.pg_ts_dict AS s
    JOIN pg_catalog.pg_namespace AS n ON n.oid = s.dictnamespace
    UNION ALL
    SELECT s.tableoid, s.oid, n.nspname, s.prsname, 'TEXT SEARCH PARSER'
    FROM pg_catalog.pg_ts_parser AS s
    JOIN pg_catalog.pg_namespace AS n ON n.oid = s.prsnamespace
    UNION ALL
    SELECT s.tableoid, s.oid, n.nspname, s.tmplname, 'TEXT SEARCH TEMPLATE'
    FROM pg_catalog.pg_ts_template AS s
    JOIN pg_catalog.pg_namespace AS n ON n.oid = s.tmplnamespace
    UNION ALL
    SELECT s.tableoid, s.oid, n.nspname, s.stxname, 'STATISTICS'
    FROM pg_catalog.pg_statistic_ext AS s
    JOIN pg_catalog.pg_namespace AS n ON n.oid = s.stxnamespace
    UNION ALL
    SELECT n.tableoid, n.oid, NULL, n.nspname, 'SCHEMA'
    FROM pg_catalog.pg_namespace AS n
)
SELECT n.classid::bigint, n.objid::bigint, n.kind || ' ' || COALESCE(n.schema || '.', '') || n.name
FROM given AS g
JOIN named AS n ON n.classid = g.classid AND n.objid = g.objid
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = g.classid AND d.objid = g.objid AND d.deptype = 'e'
)
ORDER BY n.kind <> 'SCHEMA', n.kind <> 'TABLE', n.kind, n.schema, n.name;
