-- Lists who blocks the given sessions, in the columns of lock_holders.sql. A prepared transaction has no PID.
SELECT
    COALESCE(n.nspname::text || '.' || c.relname::text, 'an object'),
    NULLIF(b.pid, 0),
    a.application_name,
    a.usename::text,
    EXISTS (
        SELECT FROM pg_catalog.pg_locks AS held
        WHERE held.pid = b.pid AND held.relation = w.relation AND held.granted AND held.mode <> 'AccessShareLock'
    ),
    NULL::text
FROM pg_catalog.pg_locks AS w
CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS b (pid)
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = w.relation
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = b.pid
WHERE NOT w.granted AND w.pid = ANY (%s::integer[]);
