-- Number of pg_cron's jobs that this role can see.
SELECT pg_catalog.count(*) FROM cron.job;
