-- The database's encoding, and how many more connections its server, the database and the role leave room for.
WITH others AS (
    SELECT pg_catalog.count(*) AS all_of_them,
           pg_catalog.count(*) FILTER (WHERE datname = pg_catalog.current_database()) AS here,
           pg_catalog.count(*) FILTER (WHERE usename = current_user) AS ours
    FROM pg_catalog.pg_stat_activity
    WHERE datname IS NOT NULL
), server AS (
    SELECT pg_catalog.sum(CASE WHEN name = 'max_connections' THEN 1 ELSE -1 END * setting::integer) AS connections
    FROM pg_catalog.pg_settings
    WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')
)
SELECT
    pg_catalog.pg_encoding_to_char(d.encoding),
    LEAST(
        server.connections - others.all_of_them,
        NULLIF(d.datconnlimit, -1) - others.here,
        NULLIF(r.rolconnlimit, -1) - others.ours
    )::integer
FROM pg_catalog.pg_database AS d
CROSS JOIN others
CROSS JOIN server
JOIN pg_catalog.pg_roles AS r ON r.rolname = current_user
WHERE d.datname = pg_catalog.current_database();
