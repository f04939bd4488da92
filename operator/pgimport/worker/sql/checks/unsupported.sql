-- Objects that the import skips: kind, count, and the first 200 names. Excludes members of extensions, and objects in
-- `skipped_schemas`, which are skipped as a whole.
WITH RECURSIVE members AS MATERIALIZED (
    SELECT d.classid, d.objid FROM pg_catalog.pg_depend AS d WHERE d.deptype = 'e'
), schemas AS MATERIALIZED (
    SELECT n.oid, n.nspname::text AS name
    FROM pg_catalog.pg_namespace AS n
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> ALL (%(skipped_schemas)s::text[])
), foreign_readers AS (
    SELECT c.oid, c.relkind FROM pg_catalog.pg_class AS c WHERE c.relkind = 'f'
    UNION
    SELECT v.oid, v.relkind
    FROM foreign_readers AS g
    JOIN pg_catalog.pg_depend AS d
      ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = g.oid
     AND d.classid = 'pg_catalog.pg_rewrite'::regclass
    JOIN pg_catalog.pg_rewrite AS r ON r.oid = d.objid
    JOIN pg_catalog.pg_class AS v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm')
), privileged AS MATERIALIZED (
    SELECT pg_catalog.lower(s.name) AS name
    FROM pg_catalog.pg_settings AS s
    WHERE s.context NOT IN ('user', 'backend')
), functions AS MATERIALIZED (
    SELECT p.oid, s.name || '.' || p.proname AS title, p.prokind, l.lanname, l.lanpltrusted, p.proleakproof, p.proconfig
    FROM pg_catalog.pg_proc AS p
    JOIN schemas AS s ON s.oid = p.pronamespace
    JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
    WHERE ('pg_catalog.pg_proc'::regclass, p.oid) NOT IN (SELECT classid, objid FROM members)
), objects (kind, classid, oid, name) AS (
    SELECT 'EVENT TRIGGER', 'pg_catalog.pg_event_trigger'::regclass, oid, evtname::text FROM pg_catalog.pg_event_trigger
    UNION ALL
    SELECT 'PUBLICATION', 'pg_catalog.pg_publication'::regclass, oid, pubname::text FROM pg_catalog.pg_publication
    UNION ALL
    SELECT 'SUBSCRIPTION', 'pg_catalog.pg_subscription'::regclass, s.oid, s.subname::text
    FROM pg_catalog.pg_subscription AS s
    JOIN pg_catalog.pg_database AS d ON d.oid = s.subdbid AND d.datname = pg_catalog.current_database()
    UNION ALL
    SELECT 'FOREIGN DATA WRAPPER', 'pg_catalog.pg_foreign_data_wrapper'::regclass, oid, fdwname::text
    FROM pg_catalog.pg_foreign_data_wrapper
    UNION ALL
    SELECT 'SERVER', 'pg_catalog.pg_foreign_server'::regclass, oid, srvname::text FROM pg_catalog.pg_foreign_server
    UNION ALL
    SELECT 'USER MAPPING', 'pg_catalog.pg_user_mapping'::regclass, umid, 'of ' || usename || ' for ' || srvname
    FROM pg_catalog.pg_user_mappings
    UNION ALL
    SELECT CASE f.relkind WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'v' THEN 'VIEW' ELSE 'MATERIALIZED VIEW' END,
        'pg_catalog.pg_class'::regclass, f.oid, s.name || '.' || c.relname
    FROM foreign_readers AS f
    JOIN pg_catalog.pg_class AS c ON c.oid = f.oid
    JOIN schemas AS s ON s.oid = c.relnamespace
    UNION ALL
    SELECT 'SECURITY LABEL', 0, l.objoid, 'of ' || l.provider || ' on an object of ' || l.classoid::regclass::text
    FROM pg_catalog.pg_seclabel AS l
    UNION ALL
    SELECT 'TABLESPACE', 0, 0, t.spcname || ' of ' || pg_catalog.count(*) || ' tables and indexes'
    FROM pg_catalog.pg_tablespace AS t
    JOIN pg_catalog.pg_class AS c ON c.reltablespace = t.oid
    JOIN schemas AS s ON s.oid = c.relnamespace
    GROUP BY t.spcname
    UNION ALL
    SELECT 'FUNCTION in C', 0, oid, title FROM functions WHERE lanname IN ('c', 'internal') AND prokind <> 'a'
    UNION ALL
    SELECT 'FUNCTION in an untrusted language', 0, oid, title
    FROM functions WHERE NOT lanpltrusted AND lanname NOT IN ('c', 'internal') AND prokind <> 'a'
    UNION ALL
    SELECT 'LEAKPROOF FUNCTION', 0, oid, title FROM functions WHERE proleakproof AND lanname NOT IN ('c', 'internal')
    UNION ALL
    SELECT 'FUNCTION with a privileged setting', 0, oid, title
    FROM functions
    WHERE EXISTS (
        SELECT FROM pg_catalog.unnest(proconfig) AS c (setting)
        WHERE pg_catalog.lower(pg_catalog.split_part(c.setting, '=', 1)) IN (SELECT name FROM privileged)
    )
    UNION ALL
    SELECT 'AGGREGATE with an internal state', 0, f.oid, f.title
    FROM functions AS f
    JOIN pg_catalog.pg_aggregate AS a ON a.aggfnoid = f.oid
    WHERE 'pg_catalog.internal'::regtype IN (a.aggtranstype, a.aggmtranstype)
    UNION ALL
    SELECT CASE WHEN t.typisdefined THEN 'BASE TYPE' ELSE 'SHELL TYPE' END,
        'pg_catalog.pg_type'::regclass, t.oid, s.name || '.' || t.typname
    FROM pg_catalog.pg_type AS t
    JOIN schemas AS s ON s.oid = t.typnamespace
    WHERE (t.typtype = 'b' OR NOT t.typisdefined)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_type AS e WHERE e.typarray = t.oid)
    UNION ALL
    SELECT 'OPERATOR CLASS', 'pg_catalog.pg_opclass'::regclass, o.oid, s.name || '.' || o.opcname
    FROM pg_catalog.pg_opclass AS o
    JOIN schemas AS s ON s.oid = o.opcnamespace
    UNION ALL
    SELECT 'OPERATOR FAMILY', 'pg_catalog.pg_opfamily'::regclass, o.oid, s.name || '.' || o.opfname
    FROM pg_catalog.pg_opfamily AS o
    JOIN schemas AS s ON s.oid = o.opfnamespace
    UNION ALL
    SELECT 'ACCESS METHOD', 'pg_catalog.pg_am'::regclass, oid, amname::text FROM pg_catalog.pg_am WHERE oid >= 16384
    UNION ALL
    SELECT 'TEXT SEARCH PARSER', 'pg_catalog.pg_ts_parser'::regclass, p.oid, s.name || '.' || p.prsname
    FROM pg_catalog.pg_ts_parser AS p
    JOIN schemas AS s ON s.oid = p.prsnamespace
    UNION ALL
    SELECT 'TEXT SEARCH TEMPLATE', 'pg_catalog.pg_ts_template'::regclass, t.oid, s.name || '.' || t.tmplname
    FROM pg_catalog.pg_ts_template AS t
    JOIN schemas AS s ON s.oid = t.tmplnamespace
    UNION ALL
    SELECT 'TRANSFORM', 'pg_catalog.pg_transform'::regclass, t.oid,
        'for ' || pg_catalog.format_type(t.trftype, NULL) || ' in ' || l.lanname
    FROM pg_catalog.pg_transform AS t
    JOIN pg_catalog.pg_language AS l ON l.oid = t.trflang
    UNION ALL
    SELECT 'LANGUAGE', 'pg_catalog.pg_language'::regclass, oid, lanname::text
    FROM pg_catalog.pg_language WHERE oid >= 16384 AND NOT lanpltrusted
    UNION ALL
    SELECT 'CAST without a function', 'pg_catalog.pg_cast'::regclass, oid,
        pg_catalog.format_type(castsource, NULL) || ' to ' || pg_catalog.format_type(casttarget, NULL)
    FROM pg_catalog.pg_cast WHERE oid >= 16384 AND castmethod = 'b'
    UNION ALL
    SELECT 'POLICY that names roles', 'pg_catalog.pg_policy'::regclass, p.oid,
        p.polname || ' on ' || s.name || '.' || c.relname
    FROM pg_catalog.pg_policy AS p
    JOIN pg_catalog.pg_class AS c ON c.oid = p.polrelid
    JOIN schemas AS s ON s.oid = c.relnamespace
    WHERE 0 <> ANY (p.polroles)
)
SELECT o.kind, pg_catalog.count(*), (pg_catalog.array_agg(o.name ORDER BY o.name))[:200]
FROM objects AS o
WHERE (o.classid, o.oid) NOT IN (SELECT classid, objid FROM members)
GROUP BY o.kind
ORDER BY o.kind;
