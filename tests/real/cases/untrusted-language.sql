CREATE FUNCTION plown_handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE LANGUAGE plown HANDLER plown_handler;
CREATE FUNCTION in_plown() RETURNS int LANGUAGE plown AS 'BEGIN RETURN 1; END';
CREATE FUNCTION in_plpgsql() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE TABLE t (id int DEFAULT in_plown(), other int DEFAULT in_plpgsql());
INSERT INTO t DEFAULT VALUES;
CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal));
