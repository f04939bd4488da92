-- What tells a provider: the kind of sign and its name. Every schema, for a provider's own are found among them.
SELECT 'schema', nspname::text FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
UNION ALL
SELECT 'role', rolname::text FROM pg_catalog.pg_roles WHERE rolname = ANY (%(roles)s::text[])
UNION ALL
SELECT 'setting', name FROM pg_catalog.pg_settings WHERE name = ANY (%(settings)s::text[]);
