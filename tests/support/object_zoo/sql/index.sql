-- Indexes, and whether they are valid.
SELECT pg_catalog.format('%s.%s', n.nspname, c.relname), i.indisvalid::text
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_';
