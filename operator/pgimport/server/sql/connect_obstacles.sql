-- Returns what keeps a member of these roles from connecting to a database: whether it disallows connections, its
-- CONNECTION LIMIT, and whether none of the roles has CONNECT.
SELECT NOT d.datallowconn, d.datconnlimit,
       NOT EXISTS (SELECT FROM pg_roles AS r
                    WHERE r.rolname = ANY (%(roles)s::text[]) AND has_database_privilege(r.oid, d.oid, 'CONNECT'))
  FROM pg_database AS d
 WHERE d.datname = %(database)s
