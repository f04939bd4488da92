-- Lists the extensions of the database: name, version, schema, and whether this role owns the schema.
SELECT e.extname::text, e.extversion, n.nspname::text,
       n.nspowner = (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = current_user)
  FROM pg_extension AS e
  JOIN pg_namespace AS n ON n.oid = e.extnamespace
 WHERE e.extname <> 'plpgsql'
 ORDER BY e.extname
