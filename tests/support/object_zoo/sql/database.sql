-- Encoding and locale of the database.
SELECT 'text', pg_catalog.format('%s %s %s %s', pg_catalog.pg_encoding_to_char(encoding), datlocprovider, datcollate, datctype)
FROM pg_catalog.pg_database
WHERE datname = pg_catalog.current_database();
