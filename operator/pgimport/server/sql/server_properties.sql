-- Returns the version of the server, the attributes of its admin, and whether it is a standby.
SELECT current_setting('server_version')          AS version,
       current_setting('server_version_num')::int AS version_num,
       r.rolsuper, r.rolcreatedb, r.rolcreaterole,
       pg_is_in_recovery()                        AS standby
  FROM pg_roles AS r
 WHERE r.rolname = current_user
