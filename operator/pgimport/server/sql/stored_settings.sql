-- Lists ALTER DATABASE … SET and ALTER ROLE … SET of a database or a role: the settings, and the beginnings of those that
-- are longer than 64 KiB, which are left out: a preview's owner can store values of any size. NULL means all databases
-- or all roles. They are bytes, because a session in a database of another encoding may have stored them.
SELECT d.datname::text, r.rolname::text,
       ARRAY(SELECT textsend(c) FROM unnest(s.setconfig) WITH ORDINALITY AS u(c, n)
              WHERE octet_length(c) <= 65536 ORDER BY n),
       ARRAY(SELECT substring(textsend(c) FROM 1 FOR 128) FROM unnest(s.setconfig) WITH ORDINALITY AS u(c, n)
              WHERE octet_length(c) > 65536 ORDER BY n LIMIT 5)
  FROM pg_db_role_setting AS s
  LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
  LEFT JOIN pg_roles AS r ON r.oid = s.setrole
 WHERE d.datname = %(database)s OR r.rolname = %(role)s
 ORDER BY 1 NULLS FIRST, 2 NULLS FIRST
