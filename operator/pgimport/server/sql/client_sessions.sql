-- Lists client sessions in these databases or of these roles. Excludes autovacuum workers, which have no user: DROP
-- DATABASE and RENAME end them.
SELECT a.pid, a.datname::text, a.usename::text, coalesce(a.application_name, '')
  FROM pg_stat_activity AS a
 WHERE (a.datname = ANY (%(databases)s::text[]) OR a.usename = ANY (%(roles)s::text[]))
   AND a.usesysid IS NOT NULL
   AND a.pid <> pg_backend_pid()
 ORDER BY a.pid
