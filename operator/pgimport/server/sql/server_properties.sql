-- Returns the version of the server, the attributes of its admin, whether it is a standby, the locale of template0,
-- and whether PUBLIC may connect to this database.
SELECT current_setting('server_version')          AS version,
       current_setting('server_version_num')::int AS version_num,
       r.rolsuper, r.rolcreatedb, r.rolcreaterole,
       pg_is_in_recovery()                        AS standby,
       (SELECT coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', d.datctype)
          FROM pg_database AS d WHERE d.datname = 'template0') AS default_locale,
       (SELECT CASE WHEN EXISTS (SELECT FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
                                  WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT') THEN d.datname::text END
          FROM pg_database AS d WHERE d.datname = current_database()) AS open_to_public
  FROM pg_roles AS r
 WHERE r.rolname = current_user
