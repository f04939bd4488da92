-- Lists the current user's other sessions in this database: PID, whether its transaction has failed, and whether it
-- works. A session that waits for a lock, for its client or in pg_sleep does not work.
SELECT
    pid,
    state = 'idle in transaction (aborted)',
    state = 'active' AND COALESCE(wait_event_type NOT IN ('Lock', 'Client', 'Timeout'), true)
FROM pg_catalog.pg_stat_activity
WHERE datname = pg_catalog.current_database() AND usename = CURRENT_USER AND pid <> pg_catalog.pg_backend_pid();
