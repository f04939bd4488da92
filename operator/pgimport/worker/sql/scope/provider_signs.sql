-- Lists names by which a provider is detected: kind and name. Lists all schemas, because the import also needs them to
-- find those of the provider.
SELECT 'schema', nspname::text FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
UNION ALL
SELECT 'role', rolname::text FROM pg_catalog.pg_roles WHERE rolname = ANY (%(roles)s::text[])
UNION ALL
SELECT 'setting', name FROM pg_catalog.pg_settings WHERE name = ANY (%(settings)s::text[]);
