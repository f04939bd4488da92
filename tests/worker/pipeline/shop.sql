-- A database with an object of every kind that an import copies.
CREATE SCHEMA "Odd Schema";
CREATE SCHEMA "DATA";
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN email AS text CONSTRAINT has_at CHECK (VALUE LIKE '%@%');
CREATE TYPE floats AS RANGE (subtype = float8);
CREATE TABLE customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mail email NOT NULL,
    mood mood DEFAULT 'ok',
    shout text GENERATED ALWAYS AS (upper(mail)) STORED
);
COMMENT ON TABLE customers IS 'those who buy';
COMMENT ON COLUMN customers.mail IS 'where to write to';
CREATE TABLE orders (
    id serial PRIMARY KEY,
    customer bigint NOT NULL REFERENCES customers,
    at timestamptz NOT NULL,
    note text
);
CREATE INDEX orders_by_note ON orders (lower(note)) WHERE note IS NOT NULL;
ALTER TABLE orders ADD CONSTRAINT long_note CHECK (length(note) < 3) NOT VALID;
CREATE TABLE events (id int, day date NOT NULL, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE TABLE moods (m mood, n int) PARTITION BY HASH (m);
CREATE TABLE moods_0 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE moods_1 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE "Odd Schema"."Semi;colon ""quoted""" ("Select" int, "from" text);
CREATE TABLE "DATA".foo (x int);
CREATE TABLE empty (x int);
CREATE TABLE secrets (owner text, secret text);
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE secrets FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON secrets USING (owner = current_user);
COMMENT ON POLICY own ON secrets IS 'each their own';
CREATE POLICY "of the clerk" ON secrets TO shop_clerk USING (true);
COMMENT ON POLICY "of the clerk" ON secrets IS 'all of them';
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at := now(); RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE VIEW busy AS SELECT customer, count(*) AS orders FROM orders GROUP BY customer;
CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM orders;
CREATE UNIQUE INDEX totals_n ON totals (n);
CREATE MATERIALIZED VIEW totals_again AS SELECT n * 2 AS n FROM totals;
CREATE MATERIALIZED VIEW not_yet AS SELECT 1 AS one WITH NO DATA;
CREATE SEQUENCE untouched START 40;
CREATE SEQUENCE moved;
SELECT setval('moved', 77, false);
CREATE FOREIGN DATA WRAPPER far;
CREATE SERVER away FOREIGN DATA WRAPPER far;
CREATE FOREIGN TABLE remote (x int) SERVER away;
COMMENT ON COLUMN remote.x IS 'far';
CREATE VIEW remote_view AS SELECT x FROM remote;
COMMENT ON VIEW remote_view IS 'far as well';
CREATE PUBLICATION news FOR ALL TABLES;
CREATE FUNCTION ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION ddl();
INSERT INTO customers (mail, mood) SELECT 'c' || i || '@example.com', 'happy' FROM generate_series(1, 500) AS i;
INSERT INTO orders (customer, at, note)
SELECT 1 + i % 500, '2024-03-04 05:06:07+02', CASE WHEN i % 3 = 0 THEN NULL ELSE 'n' || i % 9 END
FROM generate_series(1, 3000) AS i;
INSERT INTO events SELECT i, DATE '2023-12-01' + i % 500 FROM generate_series(1, 1000) AS i;
INSERT INTO moods SELECT (ARRAY['sad', 'ok', 'happy']::mood[])[1 + i % 3], i FROM generate_series(1, 300) AS i;
INSERT INTO "Odd Schema"."Semi;colon ""quoted""" VALUES (1, E'tab\tnewline\nbackslash\\'), (2, NULL);
INSERT INTO "DATA".foo VALUES (1);
INSERT INTO secrets SELECT 'nobody', 's' || i FROM generate_series(1, 10) AS i;
SELECT lo_from_bytea(4000 + i, ('large ' || i)::bytea) FROM generate_series(1, 5) AS i;
REFRESH MATERIALIZED VIEW totals;
REFRESH MATERIALIZED VIEW totals_again;
