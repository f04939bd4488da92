-- Returns the size of a database in bytes; no row if it does not exist or was partly dropped.
SELECT pg_database_size(d.oid) FROM pg_database AS d WHERE d.datname = %(database)s AND d.datconnlimit <> -2
