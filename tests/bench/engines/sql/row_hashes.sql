-- Returns the statements that hash the rows of each table, largest first. The order of rows does not matter.
SELECT format('SELECT %L, count(*), sum(hashtextextended(t::text, 0)::numeric) FROM ONLY %s AS t',
              'rows ' || c.oid::regclass, c.oid::regclass)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND n.nspname !~ '^(pg_|information_schema)'
ORDER BY pg_relation_size(c.oid) DESC, c.oid::regclass::text COLLATE "C"
