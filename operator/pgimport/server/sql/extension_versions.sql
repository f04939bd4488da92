-- Returns default version, fixed schema and required extensions of each of these extensions. Has no row for an extension
-- that the server does not have.
SELECT v.name::text, v.version::text, v.schema::text, coalesce(v.requires, '{}')::text[]
  FROM pg_available_extensions AS e
  JOIN pg_available_extension_versions AS v ON v.name = e.name AND v.version = e.default_version
 WHERE v.name = ANY (%(names)s::text[])
