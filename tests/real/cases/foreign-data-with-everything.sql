CREATE EXTENSION postgres_fdw;
CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'away.example.com', dbname 'x');
CREATE USER MAPPING FOR PUBLIC SERVER away OPTIONS (user 'reader', password 'secret-of-away');
CREATE FOREIGN TABLE remote (id int, note text) SERVER away;
CREATE VIEW remote_view AS SELECT id FROM remote;
CREATE VIEW on_remote_view AS SELECT id FROM remote_view;
CREATE TABLE local (id int PRIMARY KEY);
INSERT INTO local VALUES (1), (2);
