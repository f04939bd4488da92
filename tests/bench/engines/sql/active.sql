-- Returns the wait event of each active backend; "running" covers a backend that waits for a processor too.
SELECT coalesce(wait_event_type || ' ' || wait_event, 'running')
FROM pg_stat_activity
WHERE state = 'active' AND pid <> pg_backend_pid()
