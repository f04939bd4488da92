-- Builds the statements that give the owner of a database the rights on members of extensions that this role may grant:
-- schemas, then tables, views and sequences, then functions. For functions that run with the rights of this role
-- (SECURITY DEFINER), EXECUTE is revoked from PUBLIC instead.
WITH member AS (
    SELECT d.classid, d.objid FROM pg_depend AS d
     WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
), space AS (
    SELECT n.oid, n.nspname, n.nspowner
      FROM pg_namespace AS n
     WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
       AND (n.oid IN (SELECT c.relnamespace FROM pg_class AS c
                        JOIN member AS m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid)
            OR n.oid IN (SELECT p.pronamespace FROM pg_proc AS p
                           JOIN member AS m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid)
            OR n.oid IN (SELECT e.extnamespace FROM pg_extension AS e))
), own AS (
    SELECT r.oid FROM pg_roles AS r WHERE r.rolname = current_user
)
(SELECT format('GRANT %%s ON SCHEMA %%I TO %%I',
               CASE WHEN has_schema_privilege(current_user, s.oid, 'CREATE WITH GRANT OPTION') THEN 'USAGE, CREATE'
                    ELSE 'USAGE' END, s.nspname, %(owner)s::text)
   FROM space AS s
  WHERE has_schema_privilege(current_user, s.oid, 'USAGE WITH GRANT OPTION')
  ORDER BY s.nspname)
 UNION ALL
(SELECT format('GRANT %%s ON %%s %%I.%%I TO %%I',
               string_agg(p.name, ', ' ORDER BY p.position),
               CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
               n.nspname, c.relname, %(owner)s::text)
   FROM pg_class AS c
   JOIN pg_namespace AS n ON n.oid = c.relnamespace
   JOIN member AS m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
   JOIN (VALUES (1, 'SELECT', ARRAY['r', 'p', 'v', 'm', 'S']), (2, 'INSERT', ARRAY['r', 'p']),
                (3, 'UPDATE', ARRAY['r', 'p', 'S']), (4, 'DELETE', ARRAY['r', 'p']),
                (5, 'TRUNCATE', ARRAY['r', 'p']), (6, 'REFERENCES', ARRAY['r', 'p']), (7, 'USAGE', ARRAY['S'])
        ) AS p(position, name, kinds) ON true
  WHERE CASE WHEN c.relkind <> ALL (p.kinds::"char"[]) THEN false
             WHEN c.relkind = 'S' THEN has_sequence_privilege(current_user, c.oid, p.name || ' WITH GRANT OPTION')
             ELSE has_table_privilege(current_user, c.oid, p.name || ' WITH GRANT OPTION') END
  GROUP BY n.nspname, c.relname, c.relkind
  ORDER BY n.nspname, c.relname)
 UNION ALL
(SELECT format(CASE WHEN p.prosecdef THEN 'REVOKE EXECUTE ON ROUTINE %%s FROM PUBLIC'
                    ELSE 'GRANT EXECUTE ON ROUTINE %%s TO %%I' END, p.oid::regprocedure, %(owner)s::text)
   FROM pg_proc AS p
   JOIN member AS m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
  WHERE CASE WHEN p.prosecdef
             THEN p.proowner IN (SELECT oid FROM own) AND has_function_privilege('public', p.oid, 'EXECUTE')
             ELSE NOT has_function_privilege('public', p.oid, 'EXECUTE')
                  AND has_function_privilege(current_user, p.oid, 'EXECUTE WITH GRANT OPTION') END
  ORDER BY p.oid)
