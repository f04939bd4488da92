-- Lists names by which a provider is detected: kind and name. Lists all schemas, because the import also needs them to
-- find those of the provider.
SELECT 'schema', nspname::text FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
UNION ALL
SELECT DISTINCT 'setting', pg_catalog.split_part(s.name, '.', 1)
FROM pg_catalog.pg_settings AS s
WHERE s.name LIKE '%%.%%' AND pg_catalog.split_part(s.name, '.', 1) = ANY (%(settings)s::text[]);
