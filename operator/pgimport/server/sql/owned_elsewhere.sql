-- Lists databases and objects that a role owns outside these databases. Leaves out a copy of the role's database that is
-- not complete, because its content gets another owner, whatever the name of this role is by then, or that is being
-- dropped. The comment of the copy's owner says so; tenants cannot write comments on roles. In a complete copy, leaves
-- out objects whose owner PostgreSQL cannot change. The copy does not need the role for them.
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
   AND NOT EXISTS (
           SELECT FROM pg_shdescription AS m
            WHERE m.classoid = 'pg_authid'::regclass AND m.objoid = d.datdba
              AND (m.description LIKE '{%%"pgimport": {%%"previewUID": %%'
                       AND s.classid IN ('pg_extension'::regclass, 'pg_default_acl'::regclass,
                                         'pg_user_mapping'::regclass)
                   OR m.description LIKE '{%%"pgimport": {%%"phase": "creating"%%'
                   OR m.description LIKE '{%%"pgimport": {%%"phase": "dropping"%%'))
 ORDER BY 1
