-- As session.sql, but for one transaction alone: behind a pooler, what a session sets stays for the next client.
-- Settings that a server does not know are passed over; no timeout but this transaction's own.
SELECT pg_catalog.set_config(wanted.name, wanted.value, true)
FROM (VALUES
    ('search_path', ''),
    ('default_transaction_read_only', 'on'),
    ('row_security', 'off'),
    ('statement_timeout', '30s'),
    ('lock_timeout', '5s'),
    ('idle_in_transaction_session_timeout', '0'),
    ('jit', 'off'),
    -- Text without an encoding is read byte by byte: no name can be unreadable.
    ('client_encoding', CASE pg_catalog.getdatabaseencoding() WHEN 'SQL_ASCII' THEN 'LATIN1' ELSE 'UTF8' END)
) AS wanted (name, value)
JOIN pg_catalog.pg_settings AS known ON known.name = wanted.name;
