CREATE EXTENSION dblink;
CREATE TABLE kept (id int PRIMARY KEY);
INSERT INTO kept VALUES (1), (2);
CREATE VIEW far AS SELECT id FROM dblink('dbname=far', 'SELECT 1') AS t (id int);
CREATE VIEW far_and_near AS SELECT id FROM far UNION SELECT id FROM kept;
