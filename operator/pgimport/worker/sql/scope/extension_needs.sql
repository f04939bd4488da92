-- Lists what needs an extension: extension, the extension that needs it (or NULL), and of an object outside of every
-- extension its schema, its relation and its title. Objects that exist only as a part of a member, such as the array
-- type of a type or the index of a table, belong to the extension. Lists up to 100 objects of each schema.
WITH RECURSIVE own AS (
    SELECT e.oid AS extension, e.tableoid AS classid, e.oid AS objid
    FROM pg_catalog.pg_extension AS e
    WHERE e.extname <> 'plpgsql'
    UNION
    SELECT m.refobjid, m.classid, m.objid
    FROM pg_catalog.pg_depend AS m
    JOIN pg_catalog.pg_extension AS e ON e.oid = m.refobjid AND e.extname <> 'plpgsql'
    WHERE m.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND m.deptype = 'e'
    UNION
    SELECT o.extension, d.classid, d.objid
    FROM own AS o
    JOIN pg_catalog.pg_depend AS d ON d.refclassid = o.classid AND d.refobjid = o.objid
    WHERE d.deptype IN ('a', 'i', 'P', 'S') AND o.classid <> 'pg_catalog.pg_extension'::pg_catalog.regclass
), need AS (
    SELECT DISTINCT o.extension, d.classid, d.objid, d.objsubid
    FROM own AS o
    JOIN pg_catalog.pg_depend AS d ON d.refclassid = o.classid AND d.refobjid = o.objid
    WHERE d.deptype IN ('n', 'a', 'i')
      AND NOT EXISTS (
        SELECT FROM own AS p
        WHERE p.extension = o.extension AND p.classid = d.classid AND p.objid = d.objid
      )
), found AS (
    SELECT n.extension, n.classid, n.objid, n.objsubid, owner.extname AS needed_by,
        COALESCE(r.ev_class, a.adrelid, k.conrelid, t.tgrelid, p.polrelid, c.oid) AS relid
    FROM need AS n
    LEFT JOIN own AS o ON o.classid = n.classid AND o.objid = n.objid
    LEFT JOIN pg_catalog.pg_extension AS owner ON owner.oid = o.extension
    LEFT JOIN pg_catalog.pg_rewrite AS r
      ON n.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = n.objid
    LEFT JOIN pg_catalog.pg_attrdef AS a
      ON n.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND a.oid = n.objid
    LEFT JOIN pg_catalog.pg_constraint AS k
      ON n.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = n.objid AND k.conrelid <> 0
    LEFT JOIN pg_catalog.pg_trigger AS t
      ON n.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = n.objid
    LEFT JOIN pg_catalog.pg_policy AS p
      ON n.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND p.oid = n.objid
    LEFT JOIN pg_catalog.pg_class AS c
      ON n.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = n.objid
), numbered AS (
    SELECT f.*, s.nspname, l.relname,
        pg_catalog.row_number() OVER (PARTITION BY f.extension, f.needed_by, s.nspname ORDER BY l.relname, f.objid)
    FROM found AS f
    LEFT JOIN pg_catalog.pg_class AS l ON l.oid = f.relid
    LEFT JOIN pg_catalog.pg_namespace AS s ON s.oid = l.relnamespace
)
SELECT e.extname::text, n.needed_by::text, COALESCE(n.nspname, i.schema)::text, n.relname::text,
    CASE WHEN n.needed_by IS NULL
         THEN pg_catalog.replace(pg_catalog.upper(i.type), 'TABLE COLUMN', 'COLUMN') || ' ' || i.identity END
FROM numbered AS n
JOIN pg_catalog.pg_extension AS e ON e.oid = n.extension
CROSS JOIN LATERAL pg_catalog.pg_identify_object(n.classid, n.objid, n.objsubid) AS i
WHERE n.row_number <= 100
ORDER BY 1, 2, 3, 4, 5;
