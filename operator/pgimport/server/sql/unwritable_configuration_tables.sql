-- Lists configuration tables and sequences of extensions that a role may not write: extension and name. pg_dump dumps
-- the rows that users added to them.
-- https://www.postgresql.org/docs/current/extend-extensions.html#EXTEND-EXTENSIONS-CONFIG-TABLES
SELECT e.extname::text, n.nspname || '.' || c.relname
  FROM pg_extension AS e
 CROSS JOIN LATERAL unnest(e.extconfig) AS t(oid)
  JOIN pg_class AS c ON c.oid = t.oid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE CASE WHEN c.relkind = 'S' THEN NOT has_sequence_privilege(%(owner)s::text, c.oid, 'UPDATE')
            ELSE NOT has_table_privilege(%(owner)s::text, c.oid, 'INSERT') END
 ORDER BY 1, 2
