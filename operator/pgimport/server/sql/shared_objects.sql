-- Lists databases and roles with these names: whether they accept sessions, whether a drop was interrupted, owner and
-- comment.
SELECT 'database' AS kind, d.datname::text AS name, d.oid::bigint AS oid, d.datallowconn AS accepts_sessions,
       d.datconnlimit = -2 AS invalid, pg_get_userbyid(d.datdba)::text AS owner,
       shobj_description(d.oid, 'pg_database') AS comment
  FROM pg_database AS d
 WHERE d.datname = ANY (%(databases)s::text[])
 UNION ALL
SELECT 'role', r.rolname::text, r.oid::bigint, r.rolcanlogin, false, NULL, shobj_description(r.oid, 'pg_authid')
  FROM pg_roles AS r
 WHERE r.rolname = ANY (%(roles)s::text[])
