-- Counts the large objects.
SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata;
