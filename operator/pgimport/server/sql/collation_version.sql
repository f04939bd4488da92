-- Returns the version of a database's default collation when the database was created, and the one that the server has
-- now. Both are NULL if the collation has no version.
SELECT d.datcollversion, pg_database_collation_actual_version(d.oid)
  FROM pg_database AS d
 WHERE d.datname = %(database)s
