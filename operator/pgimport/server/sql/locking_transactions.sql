-- Lists prepared transactions that hold a lock on these databases, oldest first. PostgreSQL lets every role lock any
-- database: `ALTER ROLE CURRENT_USER IN DATABASE … SET`. Such a lock stays after PREPARE TRANSACTION, without a process.
SELECT p.transaction::text, p.gid, p.owner::text, p.database::text
  FROM pg_prepared_xacts AS p
  JOIN pg_locks AS x ON x.locktype = 'transactionid' AND x.pid IS NULL AND x.transactionid = p.transaction
  JOIN pg_locks AS l ON l.virtualtransaction = x.virtualtransaction AND l.pid IS NULL
  JOIN pg_database AS d ON d.oid = l.objid
 WHERE l.locktype = 'object' AND l.database = 0 AND l.classid = 'pg_database'::regclass
   AND d.datname = ANY (%(databases)s::text[])
 ORDER BY p.prepared
