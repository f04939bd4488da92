CREATE TABLE codes (code text PRIMARY KEY);
CREATE FUNCTION code_exists(text) RETURNS bool LANGUAGE sql STABLE AS 'SELECT EXISTS (SELECT FROM public.codes WHERE code = $1)';
INSERT INTO codes VALUES ('a'), ('b');
-- This table is larger than the one that its CHECK reads, and its name sorts before it.
CREATE TABLE assigned (id int PRIMARY KEY, code text CHECK (code_exists(code)), filler text);
INSERT INTO assigned SELECT i, chr(97 + i % 2), repeat('x', 500) FROM generate_series(1, 2000) AS i;
