-- Lists the domain `domain` and those that it is based on, if they have a CHECK `name`: schema, domain.
WITH RECURSIVE base AS (
    SELECT t.oid, t.typbasetype
    FROM pg_catalog.pg_type AS t
    JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
    WHERE n.nspname = %(schema)s AND t.typname = %(domain)s
    UNION
    SELECT t.oid, t.typbasetype
    FROM base AS b
    JOIN pg_catalog.pg_type AS t ON t.oid = b.typbasetype
)
SELECT n.nspname::text, t.typname::text
FROM base AS b
JOIN pg_catalog.pg_constraint AS k ON k.contypid = b.oid AND k.conname = %(name)s AND k.contype = 'c'
JOIN pg_catalog.pg_type AS t ON t.oid = b.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace;
