-- Lists who keeps readers out of the given tables: table, PID, application, user, whether the lock is granted, and the
-- name of a prepared transaction. A session that waits for an exclusive lock also makes later readers wait.
SELECT
    n.nspname::text || '.' || c.relname::text,
    l.pid,
    a.application_name,
    a.usename::text,
    l.granted,
    (SELECT p.gid FROM pg_catalog.pg_prepared_xacts AS p WHERE l.pid IS NULL AND p.database = pg_catalog.current_database()
     ORDER BY p.prepared LIMIT 1)
FROM pg_catalog.pg_locks AS l
JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'relation'
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  AND l.relation = ANY (%s::pg_catalog.oid[])
  AND l.mode = 'AccessExclusiveLock'
ORDER BY l.granted DESC, a.xact_start NULLS FIRST, 1;
