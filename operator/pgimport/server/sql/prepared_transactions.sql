-- Lists prepared transactions in these databases. They survive the end of a session, and block DROP DATABASE.
SELECT p.transaction::text, p.gid, p.owner::text, p.database::text
  FROM pg_prepared_xacts AS p
 WHERE p.database = ANY (%(databases)s::text[])
 ORDER BY p.prepared
