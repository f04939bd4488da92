-- Lists configuration tables and sequences of extensions. pg_dump dumps the rows that users added to them.
SELECT c.relkind::text, n.nspname::text, c.relname::text
  FROM pg_extension AS e
  CROSS JOIN LATERAL unnest(e.extconfig) AS t(oid)
  JOIN pg_class AS c ON c.oid = t.oid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 ORDER BY n.nspname, c.relname
