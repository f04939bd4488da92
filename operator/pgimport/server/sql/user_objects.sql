-- Lists objects that a user created in this database. Excludes system objects, members of extensions, the schemas of
-- extensions, and the schema public.
WITH member AS (
    SELECT d.classid, d.objid FROM pg_depend AS d WHERE d.deptype = 'e'
), space AS (
    SELECT n.oid, n.nspname
      FROM pg_namespace AS n
     WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
)
(SELECT format('%%s %%I.%%I',
               CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
                              WHEN 'f' THEN 'foreign table' ELSE 'table' END,
               s.nspname, c.relname)
   FROM pg_class AS c
   JOIN space AS s ON s.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    AND NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)
    AND NOT (c.relkind = 'S' AND EXISTS (
            SELECT FROM pg_depend AS d
             WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')))
  ORDER BY 1 LIMIT %(limit)s)
 UNION ALL
(SELECT format('%%s %%I.%%I(%%s)', CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
               s.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
   FROM pg_proc AS p
   JOIN space AS s ON s.oid = p.pronamespace
  WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_proc'::regclass AND m.objid = p.oid)
  ORDER BY 1 LIMIT %(limit)s)
 UNION ALL
(SELECT format('%%s %%I.%%I', CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, s.nspname, t.typname)
   FROM pg_type AS t
   JOIN space AS s ON s.oid = t.typnamespace
   LEFT JOIN pg_class AS c ON c.oid = t.typrelid
  WHERE t.typtype IN ('b', 'c', 'd', 'e', 'r')
    AND t.typcategory <> 'A'
    AND (t.typtype <> 'c' OR c.relkind = 'c')
    AND NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_type'::regclass AND m.objid = t.oid)
  ORDER BY 1 LIMIT %(limit)s)
 UNION ALL
(SELECT format('schema %%I', s.nspname)
   FROM space AS s
  WHERE s.nspname <> 'public'
    AND s.oid NOT IN (SELECT e.extnamespace FROM pg_extension AS e)
    AND NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_namespace'::regclass AND m.objid = s.oid)
  ORDER BY 1 LIMIT %(limit)s)
 UNION ALL
(SELECT format('large object %%s', l.oid) FROM pg_largeobject_metadata AS l ORDER BY l.oid LIMIT %(limit)s)
 LIMIT %(limit)s
