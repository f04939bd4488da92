-- Lists ALTER DATABASE … SET and ALTER ROLE … SET of a database or a role. NULL means all databases or all roles.
SELECT d.datname::text, r.rolname::text, s.setconfig
  FROM pg_db_role_setting AS s
  LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
  LEFT JOIN pg_roles AS r ON r.oid = s.setrole
 WHERE d.datname = %(database)s OR r.rolname = %(role)s
 ORDER BY 1 NULLS FIRST, 2 NULLS FIRST
