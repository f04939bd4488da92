-- Lists the schemas of operators and extensions, except pg_catalog. A definition that does not print its operators,
-- such as NULLIF(a, b), finds them only if its search_path contains their schema.
SELECT n.nspname::text
FROM pg_catalog.pg_namespace AS n
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND (
    n.oid IN (SELECT oprnamespace FROM pg_catalog.pg_operator)
    OR n.oid IN (SELECT extnamespace FROM pg_catalog.pg_extension)
  )
ORDER BY 1;
