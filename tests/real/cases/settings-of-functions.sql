CREATE FUNCTION plain(int) RETURNS int LANGUAGE sql SET work_mem = '4MB' AS 'SELECT $1';
CREATE FUNCTION privileged(int) RETURNS int LANGUAGE sql SET log_min_messages = 'panic' AS 'SELECT $1';
CREATE VIEW of_plain AS SELECT plain(1) AS one;
CREATE VIEW of_privileged AS SELECT privileged(1) AS one;
