-- Lists tables that were rewritten after the snapshot was taken. The snapshot reads them as empty, without an error.
SELECT n.nspname::text, c.relname::text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = ANY (%s::pg_catalog.oid[])
  AND c.relkind = 'r'
  AND c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid)
ORDER BY 1, 2;
