-- Lists the allowed extensions that this role can create at their default version.
SELECT v.name::text
  FROM pg_available_extensions AS e
  JOIN pg_available_extension_versions AS v ON v.name = e.name AND v.version = e.default_version
 WHERE v.name = ANY (%(allowed)s::text[])
   AND (v.trusted OR NOT v.superuser OR (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user))
