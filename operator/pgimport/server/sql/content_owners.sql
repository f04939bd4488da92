-- Lists the roles that own objects inside a database, with their comments. pg_shdepend is a shared catalog, so nobody has
-- to connect to that database.
SELECT DISTINCT r.rolname::text, shobj_description(r.oid, 'pg_authid')
  FROM pg_shdepend AS s
  JOIN pg_database AS d ON d.oid = s.dbid
  JOIN pg_roles AS r ON r.oid = s.refobjid
 WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o'
   AND d.datname = %(database)s AND r.rolname <> current_user
 ORDER BY 1
