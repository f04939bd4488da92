-- Returns owner, connection limit and comment of a database.
SELECT pg_get_userbyid(d.datdba)::text, d.datconnlimit, shobj_description(d.oid, 'pg_database')
  FROM pg_database AS d
 WHERE d.datname = %(database)s
