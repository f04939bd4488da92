-- Creates the admin, reserves connections for it, and lets only the admin connect to the shared databases. May be
-- repeated.
SELECT 'CREATE ROLE pgimport_admin'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pgimport_admin')
\gexec
ALTER ROLE pgimport_admin LOGIN CREATEDB CREATEROLE NOSUPERUSER NOREPLICATION NOBYPASSRLS;
SELECT 'GRANT pg_use_reserved_connections TO pgimport_admin'
WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = 'pg_use_reserved_connections')
\gexec
REVOKE CONNECT, TEMPORARY ON DATABASE postgres FROM PUBLIC;
REVOKE CONNECT, TEMPORARY ON DATABASE template1 FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE postgres TO pgimport_admin;
GRANT CONNECT, TEMPORARY ON DATABASE template1 TO pgimport_admin;
