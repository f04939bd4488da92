-- Lists comments on the large objects from oid :first up to, but without, :end.
SELECT objoid::bigint, description
FROM pg_catalog.pg_description
WHERE classoid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass
  AND objoid >= %(first)s::bigint::pg_catalog.oid AND objoid::bigint < %(end)s
ORDER BY 1;
