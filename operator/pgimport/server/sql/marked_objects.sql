-- Lists all databases, then all roles, with the comment that may contain a mark. If a crash prevented COMMENT ON
-- DATABASE, returns the comment of the role with the same name or of the owner.
SELECT 'database' AS kind, d.datname::text AS name,
       coalesce(shobj_description(d.oid, 'pg_database'),
                shobj_description(same.oid, 'pg_authid'),
                shobj_description(d.datdba, 'pg_authid')) AS comment
  FROM pg_database AS d
  LEFT JOIN pg_roles AS same ON same.rolname = d.datname
 WHERE NOT d.datistemplate
 UNION ALL
SELECT 'role', r.rolname::text, shobj_description(r.oid, 'pg_authid')
  FROM pg_roles AS r
 WHERE r.rolname !~ '^pg_'
 ORDER BY 1, 2
