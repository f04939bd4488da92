-- Tables and sequences whose rows an extension leaves to its users, and a dump carries.
SELECT c.relkind::text, n.nspname::text, c.relname::text
  FROM pg_extension AS e
  CROSS JOIN LATERAL unnest(e.extconfig) AS t(oid)
  JOIN pg_class AS c ON c.oid = t.oid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 ORDER BY n.nspname, c.relname
