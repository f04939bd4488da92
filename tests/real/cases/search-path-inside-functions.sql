-- Works for the application, whose search_path has both schemas. A restore's search_path is empty.
CREATE SCHEMA app;
SET search_path = app, public;
CREATE TABLE app.rates (currency text PRIMARY KEY, rate numeric);
INSERT INTO app.rates VALUES ('EUR', 1), ('USD', 2);
CREATE FUNCTION app.rate_of(text) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT rate FROM rates WHERE currency = $1';
CREATE TABLE app.prices (id int PRIMARY KEY, currency text, amount numeric);
INSERT INTO app.prices VALUES (1, 'EUR', 5), (2, 'USD', 6);
CREATE INDEX prices_rate ON app.prices (app.rate_of(currency));
CREATE MATERIALIZED VIEW app.in_euro AS SELECT id, amount * app.rate_of(currency) AS amount FROM app.prices;
