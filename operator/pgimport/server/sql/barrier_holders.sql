-- Lists sessions that wait for their client in the middle of a statement, such as COPY FROM STDIN. They do not process
-- the barrier for which DROP DATABASE waits. The admin sees the state only of roles that it is a member of.
SELECT a.pid, a.datname::text, a.usename::text, coalesce(a.application_name, '')
  FROM pg_stat_activity AS a
 WHERE a.state IN ('active', 'fastpath function call') AND a.wait_event = 'ClientRead' AND a.pid <> pg_backend_pid()
 ORDER BY a.query_start
 LIMIT 5
