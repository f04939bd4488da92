-- Returns the database's encoding, and how many connections are free: the smallest number that the limits of server,
-- database and role leave. Connections that are reserved for superusers do not count.
WITH sessions AS (
    SELECT pg_catalog.count(*) AS of_server,
           pg_catalog.count(*) FILTER (WHERE datname = pg_catalog.current_database()) AS of_database,
           pg_catalog.count(*) FILTER (WHERE usename = current_user) AS of_role
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
        server.connections - sessions.of_server,
        NULLIF(d.datconnlimit, -1) - sessions.of_database,
        NULLIF(r.rolconnlimit, -1) - sessions.of_role
    )::integer
FROM pg_catalog.pg_database AS d
CROSS JOIN sessions
CROSS JOIN server
JOIN pg_catalog.pg_roles AS r ON r.rolname = current_user
WHERE d.datname = pg_catalog.current_database();
