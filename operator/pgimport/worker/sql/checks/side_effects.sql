-- Triggers whose function calls other systems (HTTP, another database, a cloud function): schema, title.
SELECT n.nspname::text, n.nspname || '.' || c.relname || ': ' || t.tgname
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
JOIN pg_catalog.pg_namespace AS s ON s.oid = p.pronamespace
WHERE NOT t.tgisinternal
  AND (
    s.nspname IN ('net', 'supabase_functions')
    OR p.prosrc ~* '\m(net\.http_|http_(get|post|put|patch|delete|head)\M|http\s*\(|dblink|aws_lambda\.invoke|lambda_invoke)'
  )
ORDER BY 1, 2
LIMIT 1000;
