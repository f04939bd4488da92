-- Lists the other sessions of this import in this database: PID, whether it waits for a lock, and whether it works. The
-- session that runs this query is the import's oldest. A session that waits for its client does not work.
SELECT
    pid,
    COALESCE(wait_event_type = 'Lock', false),
    state = 'active' AND COALESCE(wait_event_type NOT IN ('Lock', 'Client'), true)
FROM pg_catalog.pg_stat_activity
WHERE datname = pg_catalog.current_database()
  AND usename = CURRENT_USER
  AND application_name = pg_catalog.current_setting('application_name')
  AND pid <> pg_catalog.pg_backend_pid()
  AND backend_start >= (
      SELECT backend_start FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()
  );
