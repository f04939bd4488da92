-- What a new database takes over from the old one of its name, but for ACL and settings.
SELECT pg_get_userbyid(d.datdba)::text, d.datconnlimit, shobj_description(d.oid, 'pg_database')
  FROM pg_database AS d
 WHERE d.datname = %(database)s
