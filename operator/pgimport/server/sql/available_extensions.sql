-- Lists all extensions of the server: name, and whether it is allowed and this role can create it, as the catalogs say.
SELECT e.name::text,
       e.name = ANY (%(allowed)s::text[])
       AND (coalesce(v.trusted OR NOT v.superuser, false)
            OR (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user))
  FROM pg_available_extensions AS e
  LEFT JOIN pg_available_extension_versions AS v ON v.name = e.name AND v.version = e.default_version
