-- Lists objects that pg_dump is told to skip: name, and the reason.
SELECT 'PUBLICATION ' || pubname, 'a copy must not take part in replication' FROM pg_catalog.pg_publication
UNION ALL
SELECT 'SUBSCRIPTION ' || s.subname, 'a copy must not take part in replication'
FROM pg_catalog.pg_subscription AS s
JOIN pg_catalog.pg_database AS d ON d.oid = s.subdbid AND d.datname = pg_catalog.current_database()
UNION ALL
SELECT 'SECURITY LABELS on ' || pg_catalog.count(*) || ' objects', 'they belong to a provider of the source server'
FROM pg_catalog.pg_seclabel
HAVING pg_catalog.count(*) > 0
ORDER BY 1;
