-- Lists the indexes on partitioned tables. Columns: schema, name, number of partitions' indexes that are attached to it.
SELECT
    n.nspname::text, c.relname::text,
    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = c.oid)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'I'
ORDER BY 1, 2;
