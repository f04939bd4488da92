-- Lists comments on the large objects whose oid is at least :first and less than :end.
SELECT objoid::bigint, description
FROM pg_catalog.pg_description
WHERE classoid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass
  AND objoid >= %(first)s::bigint::pg_catalog.oid AND objoid::bigint < %(end)s
ORDER BY 1;
