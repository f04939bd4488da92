-- Returns a number that grows while rows are copied into the current database.
SELECT COALESCE(pg_catalog.sum(bytes_processed), 0)::bigint
FROM pg_catalog.pg_stat_progress_copy
WHERE datname = pg_catalog.current_database();
