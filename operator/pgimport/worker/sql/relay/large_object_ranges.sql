-- Lists the first oid of each group of :step_size large objects, in ascending order.
SELECT numbered.oid::bigint
FROM (
    SELECT m.oid, pg_catalog.row_number() OVER (ORDER BY m.oid) AS row_number
    FROM pg_catalog.pg_largeobject_metadata AS m
) AS numbered
WHERE numbered.row_number %% %(step_size)s = 1
ORDER BY 1;
