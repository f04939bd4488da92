-- Functions that each row calls. They work for the application, whose search_path has `public`.
CREATE FUNCTION plus_one(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
CREATE FUNCTION is_known(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN plus_one($1) > 0; END';
CREATE FUNCTION plus_two(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT plus_one(plus_one($1))';
CREATE FUNCTION words_of(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN plus_one(length($1)); END';
CREATE DOMAIN known AS int CHECK (is_known(VALUE));
CREATE TABLE generated (id int PRIMARY KEY, t text, n int GENERATED ALWAYS AS (plus_two(id)) STORED,
  w text GENERATED ALWAYS AS (words_of(t)) STORED);
CREATE TABLE contained (id int PRIMARY KEY, k known);
INSERT INTO generated (id, t) VALUES (1, 'a'), (2, 'bc');
INSERT INTO contained VALUES (1, 1);
