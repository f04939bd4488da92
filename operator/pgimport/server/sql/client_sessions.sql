-- Lists client sessions in these databases or of these roles, and sessions of other roles than the admin that hold or
-- await a lock on these databases. PostgreSQL lets every role lock any database: `ALTER ROLE CURRENT_USER IN DATABASE …
-- SET`. Excludes autovacuum workers, which have no user: DROP DATABASE and RENAME end them.
SELECT a.pid, a.datname::text, a.usename::text, coalesce(a.application_name, '')
  FROM pg_stat_activity AS a
 WHERE (a.datname = ANY (%(databases)s::text[]) OR a.usename = ANY (%(roles)s::text[])
        OR (a.usename <> current_user AND a.pid IN (
            SELECT l.pid
              FROM pg_locks AS l
              JOIN pg_database AS d ON d.oid = l.objid
             WHERE l.locktype = 'object' AND l.database = 0 AND l.classid = 'pg_database'::regclass
               AND d.datname = ANY (%(databases)s::text[]))))
   AND a.usesysid IS NOT NULL
   AND a.pid <> pg_backend_pid()
 ORDER BY a.pid
