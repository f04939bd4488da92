CREATE TABLE codes (code text PRIMARY KEY);
CREATE FUNCTION code_exists(text) RETURNS bool LANGUAGE sql STABLE AS 'SELECT EXISTS (SELECT FROM public.codes WHERE code = $1)';
INSERT INTO codes VALUES ('a'), ('b');
CREATE DOMAIN known_code AS text CHECK (code_exists(VALUE));
CREATE TABLE assigned_by_domain (id int PRIMARY KEY, code known_code, filler text);
INSERT INTO assigned_by_domain SELECT i, chr(97 + i % 2), repeat('x', 500) FROM generate_series(1, 2000) AS i;
