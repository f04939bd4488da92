-- Lists sessions of other roles that hold or await the advisory lock of a database name. PostgreSQL has no privilege for
-- advisory locks: whoever may connect to this database may take any of them.
SELECT a.pid, a.datname::text, a.usename::text, coalesce(a.application_name, '')
  FROM pg_locks AS l
  JOIN pg_stat_activity AS a ON a.pid = l.pid
  JOIN pg_database AS d ON d.oid = l.database
 WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND d.datname = current_database()
   AND ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended(%(name)s, 0)
   AND a.usename <> current_user
