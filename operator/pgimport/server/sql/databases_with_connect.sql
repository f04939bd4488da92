-- Lists those of these databases to which PUBLIC may connect.
SELECT d.datname::text
  FROM pg_database AS d
 WHERE d.datname = ANY (%(names)s::text[]) AND d.datallowconn
   AND EXISTS (SELECT FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
                WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT')
 ORDER BY 1
