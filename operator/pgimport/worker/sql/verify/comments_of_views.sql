-- Lists the COMMENT statements of the views with the oids :oids, and of their columns, rules, triggers and indexes.
WITH view AS (
    SELECT c.oid, pg_catalog.format('%%I.%%I', n.nspname, c.relname) AS title,
           CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END AS kind
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = ANY (%(oids)s::bigint[]::pg_catalog.oid[])
)
SELECT pg_catalog.format('COMMENT ON %%s IS %%L', part.title, d.description)
FROM pg_catalog.pg_description AS d
JOIN (
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, v.oid, 0, pg_catalog.format('%%s %%s', v.kind, v.title) FROM view AS v
    UNION ALL
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, v.oid, a.attnum,
        pg_catalog.format('COLUMN %%s.%%I', v.title, a.attname)
    FROM view AS v
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = v.oid AND a.attnum > 0
    UNION ALL
    SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass, w.oid, 0,
        pg_catalog.format('RULE %%I ON %%s', w.rulename, v.title)
    FROM view AS v
    JOIN pg_catalog.pg_rewrite AS w ON w.ev_class = v.oid
    UNION ALL
    SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass, g.oid, 0,
        pg_catalog.format('TRIGGER %%I ON %%s', g.tgname, v.title)
    FROM view AS v
    JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = v.oid
    UNION ALL
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, x.oid, 0,
        pg_catalog.format('INDEX %%I.%%I', n.nspname, x.relname)
    FROM view AS v
    JOIN pg_catalog.pg_index AS i ON i.indrelid = v.oid
    JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = x.relnamespace
) AS part (catalog, oid, number, title)
  ON d.classoid = part.catalog AND d.objoid = part.oid AND d.objsubid = part.number
ORDER BY 1;
