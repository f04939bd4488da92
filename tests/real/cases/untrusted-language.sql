CREATE LANGUAGE plown HANDLER plpgsql_call_handler INLINE plpgsql_inline_handler VALIDATOR plpgsql_validator;
CREATE FUNCTION in_plown() RETURNS int LANGUAGE plown AS 'BEGIN RETURN 1; END';
CREATE FUNCTION in_plpgsql() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE TABLE t (id int DEFAULT in_plown(), other int DEFAULT in_plpgsql());
INSERT INTO t DEFAULT VALUES;
CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal));
