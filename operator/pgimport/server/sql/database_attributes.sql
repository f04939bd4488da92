-- Returns owner and connection limit of a database.
SELECT pg_get_userbyid(d.datdba)::text, d.datconnlimit
  FROM pg_database AS d
 WHERE d.datname = %(database)s
