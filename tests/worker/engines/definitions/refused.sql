-- Objects that only a superuser can create, and objects that need them.
CREATE FUNCTION safe(int) RETURNS bool LANGUAGE sql IMMUTABLE LEAKPROOF AS 'SELECT $1 > 0';
CREATE FUNCTION "Native Sum"(int, int) RETURNS int LANGUAGE internal IMMUTABLE AS 'int4pl';
CREATE FUNCTION calls_native(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT public."Native Sum"($1, 1)';
CREATE FUNCTION overloaded(int) RETURNS int LANGUAGE internal IMMUTABLE AS 'int4abs';
CREATE FUNCTION overloaded(text) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION calls_overloaded() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT public.overloaded(''a'')';
CREATE OPERATOR <+> (LEFTARG = int, RIGHTARG = int, FUNCTION = "Native Sum");
CREATE CAST (timestamptz AS interval) WITH FUNCTION age(timestamptz) AS ASSIGNMENT;
CREATE DOMAIN guarded AS int DEFAULT "Native Sum"(1, 2) CHECK (safe(VALUE));
CREATE TEXT SEARCH PARSER own_parser
    (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype);
CREATE TEXT SEARCH CONFIGURATION own_config (PARSER = own_parser);

CREATE TABLE parts (
    id serial PRIMARY KEY,
    n int DEFAULT "Native Sum"(1, 2) NOT NULL,
    o int DEFAULT (1 <+> 2),
    d guarded,
    c regconfig DEFAULT 'own_config',
    CONSTRAINT safe_id CHECK (safe(id)),
    CONSTRAINT own_operator CHECK ((n <+> 1) > 0),
    CONSTRAINT kept CHECK (n <> 77)
);
INSERT INTO parts (d, c) VALUES (1, 'simple'), (2, 'simple');
CREATE INDEX by_native ON parts ("Native Sum"(id, 1));
CREATE INDEX by_caller ON parts (calls_native(id));
CREATE VIEW sums AS SELECT "Native Sum"(id, n) FROM parts;
CREATE MATERIALIZED VIEW sums_of_sums AS SELECT * FROM sums;
CREATE TABLE generated (id int, g int GENERATED ALWAYS AS ("Native Sum"(id, 1)) STORED, s serial);
INSERT INTO generated (id) SELECT generate_series(1, 7);
CREATE TABLE identity_too (id int GENERATED ALWAYS AS IDENTITY, v tsvector GENERATED ALWAYS AS
    (to_tsvector('own_config', 'x')) STORED);
COMMENT ON TABLE generated IS 'skipped with its table';
CREATE TABLE ordinary (id int PRIMARY KEY);
INSERT INTO ordinary VALUES (1);
ALTER TABLE ordinary ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_safe ON ordinary USING (safe(id));
CREATE POLICY by_id ON ordinary USING (id = 1);
