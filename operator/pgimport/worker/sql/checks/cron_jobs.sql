-- Jobs of pg_cron that this role may see.
SELECT pg_catalog.count(*) FROM cron.job;
