-- Returns what is needed to find a row that violates the CHECK constraint `name` of the table or domain `owner`: schema
-- and name of a table, the columns of its primary key, the expression, and the column that VALUE stands for in the
-- expression of a domain.
WITH checked AS (
    SELECT k.conrelid, k.contypid, pg_catalog.pg_get_expr(k.conbin, k.conrelid) AS expression
    FROM pg_catalog.pg_constraint AS k
    LEFT JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
    LEFT JOIN pg_catalog.pg_type AS t ON t.oid = k.contypid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = COALESCE(c.relnamespace, t.typnamespace)
    WHERE k.contype = 'c' AND k.conname = %(name)s AND n.nspname = %(schema)s
      AND COALESCE(c.relname, t.typname) = %(owner)s
)
SELECT
    n.nspname::text,
    r.relname::text,
    ARRAY(
        SELECT a.attname::text
        FROM pg_catalog.pg_index AS i
        CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS u (attnum, position)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = u.attnum
        WHERE i.indrelid = r.oid AND i.indisprimary
        ORDER BY u.position
    ),
    checked.expression,
    v.attname::text
FROM checked
LEFT JOIN pg_catalog.pg_attribute AS v
  ON checked.contypid <> 0 AND v.atttypid = checked.contypid AND v.attnum > 0 AND NOT v.attisdropped
JOIN pg_catalog.pg_class AS r
  ON r.oid = CASE WHEN checked.conrelid <> 0 THEN checked.conrelid ELSE v.attrelid END AND r.relkind IN ('r', 'p')
JOIN pg_catalog.pg_namespace AS n ON n.oid = r.relnamespace
ORDER BY 1, 2;
