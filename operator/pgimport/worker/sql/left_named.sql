-- What a dump is told not to hold, by name, so that the report can say it.
SELECT 'PUBLICATION ' || pubname FROM pg_catalog.pg_publication
UNION ALL
SELECT 'SUBSCRIPTION ' || s.subname
FROM pg_catalog.pg_subscription AS s
JOIN pg_catalog.pg_database AS d ON d.oid = s.subdbid AND d.datname = pg_catalog.current_database()
UNION ALL
SELECT 'SECURITY LABELS on ' || pg_catalog.count(*) || ' objects' FROM pg_catalog.pg_seclabel HAVING pg_catalog.count(*) > 0
ORDER BY 1;
