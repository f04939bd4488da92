-- The server, and what its admin may do.
SELECT current_setting('server_version')          AS version,
       current_setting('server_version_num')::int AS version_num,
       r.rolsuper, r.rolcreatedb, r.rolcreaterole,
       pg_is_in_recovery()                        AS standby
  FROM pg_roles AS r
 WHERE r.rolname = current_user
