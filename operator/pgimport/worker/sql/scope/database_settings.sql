-- Lists what is stored for the database and for its owner: kind (`database`, `owner` or `comment`) and text. A setting
-- is `name=value`. Settings of the owner in this database win over those for all databases. If the database has columns
-- of type money, lc_monetary of new sessions is a setting of the database too: it says how many decimals an amount has.
-- A comment may be as long as 1 GB. At most one character more than is kept is returned, which shows that it is too
-- long.
SELECT 'comment', pg_catalog.left(pg_catalog.shobj_description(d.oid, 'pg_database'), 65537)
FROM pg_catalog.pg_database AS d
WHERE d.datname = pg_catalog.current_database() AND pg_catalog.shobj_description(d.oid, 'pg_database') IS NOT NULL
UNION ALL
SELECT 'database', 'lc_monetary=' || p.reset_val
FROM pg_catalog.pg_settings AS p
WHERE p.name = 'lc_monetary' AND p.reset_val NOT IN ('C', 'POSIX')
  AND EXISTS (
    SELECT FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
    WHERE a.atttypid = 'pg_catalog.money'::pg_catalog.regtype AND c.relkind IN ('r', 'p') AND NOT a.attisdropped
  )
UNION ALL
SELECT * FROM (
    SELECT CASE WHEN s.setrole = 0 THEN 'database' ELSE 'owner' END, c.setting
    FROM pg_catalog.pg_db_role_setting AS s
    JOIN pg_catalog.pg_database AS d ON d.datname = pg_catalog.current_database()
    CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c (setting)
    WHERE (s.setdatabase = d.oid AND s.setrole IN (0, d.datdba)) OR (s.setdatabase = 0 AND s.setrole = d.datdba)
    ORDER BY s.setdatabase = 0 DESC, s.setrole, c.setting
) AS stored;
