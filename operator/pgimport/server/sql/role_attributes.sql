-- Returns connection limit, VALID UNTIL and comment of a role.
SELECT r.rolconnlimit, r.rolvaliduntil::text, shobj_description(r.oid, 'pg_authid')
  FROM pg_roles AS r
 WHERE r.rolname = %(role)s
