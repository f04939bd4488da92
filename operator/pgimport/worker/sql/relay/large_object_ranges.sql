-- The first of every so many (:each) large objects, in the order of their numbers.
SELECT numbered.oid::bigint
FROM (
    SELECT m.oid, pg_catalog.row_number() OVER (ORDER BY m.oid) AS place
    FROM pg_catalog.pg_largeobject_metadata AS m
) AS numbered
WHERE numbered.place %% %(each)s = 1
ORDER BY 1;
