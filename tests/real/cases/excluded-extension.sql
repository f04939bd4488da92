CREATE EXTENSION citext;
CREATE TABLE emails (address citext PRIMARY KEY);
INSERT INTO emails VALUES ('a@example.com'), ('b@example.com');
CREATE VIEW of_emails AS SELECT address FROM emails;
CREATE FUNCTION is_known(citext) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE TABLE kept (id int PRIMARY KEY);
INSERT INTO kept VALUES (1);
