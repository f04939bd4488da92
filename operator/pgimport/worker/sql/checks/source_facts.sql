-- One row: version, size and locale of the current database, the current user, and whether the server is a standby.
-- Converts rows to JSON to read columns that only some versions have.
SELECT
    pg_catalog.current_setting('server_version'),
    pg_catalog.current_setting('server_version_num')::int,
    pg_catalog.pg_database_size(d.oid),
    pg_catalog.pg_encoding_to_char(d.encoding),
    d.datcollate::text,
    d.datctype::text,
    COALESCE(j.facts ->> 'datlocprovider', 'c'),
    COALESCE(j.facts ->> 'datlocale', j.facts ->> 'daticulocale'),
    CURRENT_USER::text,
    pg_catalog.pg_is_in_recovery()
FROM pg_catalog.pg_database AS d
CROSS JOIN LATERAL (SELECT pg_catalog.to_jsonb(d) AS facts) AS j
WHERE d.datname = pg_catalog.current_database();
