-- Lists the descendants of the table `owner` whose inherited constraint `name` is not valid: schema, table.
WITH RECURSIVE descendant AS (
    SELECT c.oid
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s AND c.relname = %(owner)s
    UNION
    SELECT i.inhrelid
    FROM descendant AS d
    JOIN pg_catalog.pg_inherits AS i ON i.inhparent = d.oid
)
SELECT n.nspname::text, c.relname::text
FROM descendant AS d
JOIN pg_catalog.pg_constraint AS k ON k.conrelid = d.oid AND k.conname = %(name)s AND NOT k.convalidated
JOIN pg_catalog.pg_class AS c ON c.oid = d.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace;
