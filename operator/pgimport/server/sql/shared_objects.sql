-- Lists databases and roles with these names: whether they accept sessions, whether a drop was interrupted, owner,
-- whether it is a template, and comment. The owner of a database writes its comment, so one that is too long for a mark
-- is left out. octet_length does not read a long value.
SELECT 'database' AS kind, d.datname::text AS name, d.oid::bigint AS oid, d.datallowconn AS accepts_sessions,
       d.datconnlimit = -2 AS invalid, pg_get_userbyid(d.datdba)::text AS owner, d.datistemplate AS template,
       (SELECT s.description
          FROM pg_shdescription AS s
         WHERE s.classoid = 'pg_database'::regclass AND s.objoid = d.oid AND octet_length(s.description) <= 65536)
         AS comment
  FROM pg_database AS d
 WHERE d.datname = ANY (%(databases)s::text[])
 UNION ALL
SELECT 'role', r.rolname::text, r.oid::bigint, r.rolcanlogin, false, NULL, false, shobj_description(r.oid, 'pg_authid')
  FROM pg_roles AS r
 WHERE r.rolname = ANY (%(roles)s::text[])
