-- Creates the admin, and lets only the admin connect to the shared databases. May be repeated.
SELECT 'CREATE ROLE pgimport_admin'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pgimport_admin')
\gexec
ALTER ROLE pgimport_admin LOGIN CREATEDB CREATEROLE NOSUPERUSER NOREPLICATION NOBYPASSRLS;
REVOKE CONNECT, TEMPORARY ON DATABASE postgres FROM PUBLIC;
REVOKE CONNECT, TEMPORARY ON DATABASE template1 FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE postgres TO pgimport_admin;
GRANT CONNECT, TEMPORARY ON DATABASE template1 TO pgimport_admin;
