-- Lists the process IDs of the current user's sessions in this database whose transaction has failed.
SELECT pid
FROM pg_catalog.pg_stat_activity
WHERE datname = pg_catalog.current_database() AND usename = CURRENT_USER AND state = 'idle in transaction (aborted)';
