-- Lists the sessions of other roles than the admin for whose locks a process waits.
SELECT a.pid, a.datname::text, a.usename::text, coalesce(a.application_name, '')
  FROM pg_stat_activity AS a
 WHERE a.pid = ANY (pg_blocking_pids(%(pid)s)) AND a.usesysid IS NOT NULL AND a.usename <> current_user
