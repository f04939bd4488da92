-- Lists those of the given tables (`schemas` and `names`) that exist: schema, name.
SELECT n.nspname::text, c.relname::text
FROM ROWS FROM (
    pg_catalog.unnest(%(schemas)s::text[]), pg_catalog.unnest(%(names)s::text[])
) AS given (schema, name)
JOIN pg_catalog.pg_namespace AS n ON n.nspname = given.schema
JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = given.name;
