-- Lists the privileges that roles other than the owner have on a database. The grantee is NULL for PUBLIC.
SELECT CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee)::text END, a.privilege_type, bool_or(a.is_grantable)
  FROM pg_database AS d
  CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
 WHERE d.datname = %(database)s AND a.grantee <> d.datdba
 GROUP BY 1, 2
 ORDER BY 1, 2
