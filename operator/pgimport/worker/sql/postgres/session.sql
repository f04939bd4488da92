-- Sets the parameters that pg_dump sets, so that both servers print and read values in the same way. Disables timeouts,
-- because a copy may take hours. Skips parameters that the server does not know.
SELECT pg_catalog.set_config(wanted.name, wanted.value, false)
FROM (VALUES
    ('search_path', ''),
    ('datestyle', 'ISO'),
    ('intervalstyle', 'postgres'),
    ('extra_float_digits', '3'),
    ('row_security', 'off'),
    ('xmloption', 'content'),
    ('synchronize_seqscans', 'off'),
    ('statement_timeout', '0'),
    ('lock_timeout', '0'),
    ('idle_in_transaction_session_timeout', '0'),
    ('idle_session_timeout', '0'),
    ('transaction_timeout', '0')
) AS wanted (name, value)
JOIN pg_catalog.pg_settings AS known ON pg_catalog.lower(known.name) = wanted.name;
