-- Prepared transactions: they outlive every session, and hold a database like one.
SELECT p.gid, p.owner::text, p.database::text
  FROM pg_prepared_xacts AS p
 WHERE p.database = ANY (%(databases)s::text[])
 ORDER BY p.prepared
