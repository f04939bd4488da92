-- Lists the members of a role, and the roles that it is a member of. Before PostgreSQL 16, ADMIN is the only option.
SELECT g.rolname::text, m.rolname::text, bool_or(a.admin_option),
       bool_or((to_jsonb(a) ->> 'inherit_option')::boolean), bool_or((to_jsonb(a) ->> 'set_option')::boolean)
  FROM pg_auth_members AS a
  JOIN pg_roles AS g ON g.oid = a.roleid
  JOIN pg_roles AS m ON m.oid = a.member
 WHERE (g.rolname = %(role)s AND m.rolname <> current_user) OR m.rolname = %(role)s
 GROUP BY 1, 2
 ORDER BY 1, 2
