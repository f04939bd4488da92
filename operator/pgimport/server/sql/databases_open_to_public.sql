-- Lists databases that the admin owns and that PUBLIC may connect to. Lists none if the admin is a superuser.
SELECT d.datname::text
  FROM pg_database AS d
  JOIN pg_roles AS r ON r.oid = d.datdba
 WHERE r.rolname = current_user AND NOT r.rolsuper
   AND NOT d.datistemplate AND d.datallowconn AND d.datconnlimit <> -2
   AND EXISTS (SELECT FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
                WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT')
