-- Lists the admin's own sessions that copy a preview's database, by their application_name.
SELECT a.pid, a.datname::text, a.usename::text, coalesce(a.application_name, '')
  FROM pg_stat_activity AS a
 WHERE a.application_name = %(application_name)s AND a.usename = current_user AND a.pid <> pg_backend_pid()
