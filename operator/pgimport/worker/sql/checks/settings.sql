-- Applies the settings of session.sql to this transaction only: behind a pooler, a session's settings would also affect
-- other clients. Skips settings that the server does not know. Limits statements and waits for locks.
SELECT pg_catalog.set_config(setting.name, setting.value, true)
FROM (VALUES
    ('search_path', ''),
    ('default_transaction_read_only', 'on'),
    ('row_security', 'off'),
    ('statement_timeout', '30s'),
    ('lock_timeout', '5s'),
    ('idle_in_transaction_session_timeout', '0'),
    ('jit', 'off'),
    -- Reads names in SQL_ASCII as LATIN1, one character per byte, so that every name can be decoded. A server cannot
    -- convert MULE_INTERNAL to UTF8.
    ('client_encoding', CASE pg_catalog.getdatabaseencoding()
        WHEN 'SQL_ASCII' THEN 'LATIN1' WHEN 'MULE_INTERNAL' THEN 'MULE_INTERNAL' ELSE 'UTF8' END)
) AS setting (name, value)
JOIN pg_catalog.pg_settings AS known ON known.name = setting.name;
