-- What each backend at work is doing: running (or ready to run), or waiting for what.
SELECT coalesce(wait_event_type || ' ' || wait_event, 'running')
FROM pg_stat_activity
WHERE state = 'active' AND pid <> pg_backend_pid()
