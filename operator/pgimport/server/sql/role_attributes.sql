-- What a new owner takes over from the old role of its name, but for settings and memberships.
SELECT r.rolconnlimit, r.rolvaliduntil::text, shobj_description(r.oid, 'pg_authid')
  FROM pg_roles AS r
 WHERE r.rolname = %(role)s
