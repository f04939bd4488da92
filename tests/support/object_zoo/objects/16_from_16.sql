-- Features of PostgreSQL 16.
CREATE SCHEMA from_16;
CREATE VIEW from_16.any AS SELECT any_value(id) AS id FROM shop.thing;
CREATE VIEW from_16.is_json AS SELECT (code IS JSON OBJECT) AS j, JSON_ARRAY(code, room NULL ON NULL) AS a, JSON_OBJECT('k' : code) AS o FROM shop.orders;
CREATE TABLE from_16.numbers (n int DEFAULT 0x1F, b bigint DEFAULT 1_000_000, s text STORAGE EXTERNAL);
INSERT INTO from_16.numbers DEFAULT VALUES;
