-- Bytes of a database; no row where it is not there.
SELECT pg_database_size(d.oid) FROM pg_database AS d WHERE d.datname = %(database)s AND d.datconnlimit <> -2
