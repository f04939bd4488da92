-- Features of PostgreSQL 17.
CREATE SCHEMA from_17;
CREATE VIEW from_17.table_of AS SELECT t.* FROM JSON_TABLE('[{"a": 1}]', '$[*]' COLUMNS (a int PATH '$.a', n FOR ORDINALITY)) AS t;
CREATE VIEW from_17.merged AS SELECT JSON_QUERY(jsonb '[1]', '$[*]' WITH WRAPPER) AS q, JSON_VALUE(jsonb '{"a": 1}', '$.a' RETURNING int DEFAULT 5 ON EMPTY) AS v,
    JSON_SCALAR(1) AS s, JSON_SERIALIZE('{}') AS t;
CREATE FUNCTION from_17.merge_it() RETURNS SETOF text LANGUAGE sql BEGIN ATOMIC
    MERGE INTO code.log AS l USING (VALUES ('x')) AS v (w) ON l.what = v.w WHEN NOT MATCHED BY SOURCE THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (v.w) RETURNING l.what;
END;
CREATE TABLE from_17.parted (id int GENERATED ALWAYS AS IDENTITY, n int) PARTITION BY LIST (n);
CREATE TABLE from_17.parted_1 PARTITION OF from_17.parted FOR VALUES IN (1);
INSERT INTO from_17.parted (n) VALUES (1), (1);
CREATE COLLATION from_17.plain (provider = builtin, locale = 'C.UTF-8');
CREATE TABLE from_17.plain (t text COLLATE from_17.plain);
INSERT INTO from_17.plain VALUES ('ä'), ('Z');
CREATE TABLE from_17.forever (span interval);
INSERT INTO from_17.forever VALUES ('infinity'), ('-infinity');
