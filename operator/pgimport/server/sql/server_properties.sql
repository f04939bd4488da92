-- Returns the version of the server, the attributes of its admin, whether it is a standby, and the locale of template0.
SELECT current_setting('server_version')          AS version,
       current_setting('server_version_num')::int AS version_num,
       r.rolsuper, r.rolcreatedb, r.rolcreaterole,
       pg_is_in_recovery()                        AS standby,
       (SELECT coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', d.datctype)
          FROM pg_database AS d WHERE d.datname = 'template0') AS default_locale
  FROM pg_roles AS r
 WHERE r.rolname = current_user
