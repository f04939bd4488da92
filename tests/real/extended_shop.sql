CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO customers SELECT i, 'name ' || i || E' \\ \t é' FROM generate_series(1, 2000) AS i;
CREATE TABLE orders (id serial PRIMARY KEY, customer int REFERENCES customers, total numeric CHECK (total >= 0));
INSERT INTO orders (customer, total) SELECT 1 + i % 2000, i FROM generate_series(1, 3000) AS i;
CREATE INDEX orders_customer ON orders (customer);
CREATE VIEW spenders AS SELECT name, sum(total) FROM customers JOIN orders ON customer = customers.id GROUP BY 1;
SELECT lo_from_bytea(5001, convert_to(repeat('picture', 1000), 'UTF8'));
CREATE EXTENSION pgcrypto;
CREATE EXTENSION citext;
CREATE SCHEMA app;
CREATE TABLE app.customer (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, email citext UNIQUE, secret bytea);
INSERT INTO app.customer (email, secret)
    SELECT 'User' || i || '@x', digest('x' || i, 'sha1') FROM generate_series(1, 50) AS i;
CREATE TABLE app.note (id int PRIMARY KEY, note text);
INSERT INTO app.note VALUES (1, 'x');
