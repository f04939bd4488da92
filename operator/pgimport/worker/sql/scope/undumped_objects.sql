-- Lists objects that pg_dump is told to skip: name, and the reason. A sequence that a skipped table owns is not listed.
SELECT 'PUBLICATION ' || pubname, 'a copy must not take part in replication' FROM pg_catalog.pg_publication
UNION ALL
SELECT 'SUBSCRIPTION ' || s.subname, 'a copy must not take part in replication'
FROM pg_catalog.pg_subscription AS s
JOIN pg_catalog.pg_database AS d ON d.oid = s.subdbid AND d.datname = pg_catalog.current_database()
UNION ALL
SELECT 'SECURITY LABELS on ' || pg_catalog.count(*) || ' objects', 'they belong to a provider of the source server'
FROM pg_catalog.pg_seclabel
HAVING pg_catalog.count(*) > 0
UNION ALL
SELECT
    CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' WHEN 'm' THEN 'MATERIALIZED VIEW ' ELSE 'TABLE ' END
        || n.nspname || '.' || c.relname,
    'it is unlogged, so a standby cannot read it'
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relpersistence = 'u'
  AND c.relkind IN ('r', 'm', 'S')
  AND pg_catalog.pg_is_in_recovery()
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE c.relkind = 'S' AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
  )
ORDER BY 1;
