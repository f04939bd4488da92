-- Of these extensions, what this server would install: version, fixed schema, and what each needs first.
SELECT v.name::text, v.version::text, v.schema::text, coalesce(v.requires, '{}')::text[]
  FROM pg_available_extensions AS e
  JOIN pg_available_extension_versions AS v ON v.name = e.name AND v.version = e.default_version
 WHERE v.name = ANY (%(names)s::text[])
