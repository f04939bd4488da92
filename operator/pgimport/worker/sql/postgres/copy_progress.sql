-- Lists the running COPY commands of the current database: table, and bytes processed so far.
SELECT relid::bigint, bytes_processed::bigint
FROM pg_catalog.pg_stat_progress_copy
WHERE datname = pg_catalog.current_database() AND relid <> 0;
