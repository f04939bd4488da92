-- Builds a statement for each column of a table that gives the column the type that it has. This removes its statistics,
-- also those in indexes and statistics objects. Collation and storage would otherwise become those of the type.
SELECT
  pg_catalog.format('ALTER TABLE %%I.%%I ALTER COLUMN %%I', n.nspname, c.relname, a.attname)
  || ' TYPE ' || pg_catalog.format_type(a.atttypid, a.atttypmod)
  || CASE
    WHEN a.attcollation <> 0 THEN pg_catalog.format(' COLLATE %%I.%%I', kn.nspname, k.collname) ELSE ''
  END
  || CASE
    WHEN a.attstorage = t.typstorage THEN ''
    ELSE pg_catalog.format(', ALTER COLUMN %%I SET STORAGE ', a.attname)
      || CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END
  END
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_collation AS k ON k.oid = a.attcollation
LEFT JOIN pg_catalog.pg_namespace AS kn ON kn.oid = k.collnamespace
WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p')
ORDER BY a.attnum;
