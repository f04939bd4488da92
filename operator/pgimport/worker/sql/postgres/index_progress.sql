-- Returns a number that grows while an index is built in the current database.
SELECT COALESCE(pg_catalog.sum(blocks_done + tuples_done + lockers_done), 0)::bigint
FROM pg_catalog.pg_stat_progress_create_index
WHERE datname = pg_catalog.current_database();
