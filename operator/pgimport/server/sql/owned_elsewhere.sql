-- Lists databases and objects that a role owns outside these databases.
SELECT format('database %%s', d.datname)
  FROM pg_database AS d
  JOIN pg_roles AS r ON r.oid = d.datdba
 WHERE r.rolname = %(role)s AND d.datname <> ALL (%(excluded)s::text[])
 UNION
SELECT format('objects in database %%s', d.datname)
  FROM pg_shdepend AS s
  JOIN pg_roles AS r ON r.oid = s.refobjid
  JOIN pg_database AS d ON d.oid = s.dbid
 WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o'
   AND r.rolname = %(role)s AND d.datname <> ALL (%(excluded)s::text[])
 ORDER BY 1
