-- Lists all databases, then all roles, with the comment that may contain a mark: that of the role itself, and for a
-- database that of the role with the same name or of the owner. The comment on a database belongs to its source, except
-- on a database that a swap has replaced.
SELECT 'database' AS kind, d.datname::text AS name,
       coalesce(CASE WHEN d.datname ~ '^pgimport_old_' THEN shobj_description(d.oid, 'pg_database') END,
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
