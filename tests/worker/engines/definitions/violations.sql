-- Rows that violate constraints: written while triggers, indexes or functions were changed.
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent, CONSTRAINT positive CHECK (id > 0));
INSERT INTO parent VALUES (1);
SET session_replication_role = replica;
INSERT INTO child VALUES (1, 1), (2, 99);
RESET session_replication_role;

CREATE FUNCTION ok(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 < 100';
CREATE TABLE checked (id int PRIMARY KEY, v int, CONSTRAINT v_ok CHECK (ok(v)), CONSTRAINT plain CHECK (v <> 3));
COMMENT ON CONSTRAINT v_ok ON checked IS 'kept';
CREATE DOMAIN small AS int CONSTRAINT small_ok CHECK (ok(VALUE));
CREATE TABLE uses_domain (id int PRIMARY KEY, x small);
CREATE TABLE parted (id int, v int, CONSTRAINT parted_ok CHECK (ok(v))) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
CREATE UNIQUE INDEX parted_u ON parted (id);
INSERT INTO checked VALUES (1, 5), (7, 50);
INSERT INTO uses_domain VALUES (1, 55);
INSERT INTO parted VALUES (1, 1), (11, 2);
CREATE OR REPLACE FUNCTION ok(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 < 10';
-- A CHECK of built-in functions only, which the rows violate too.
ALTER TABLE checked ADD CONSTRAINT hacked CHECK (v < 40) NOT VALID;
UPDATE pg_constraint SET convalidated = true WHERE conname = 'hacked';

CREATE TABLE doubled (id int, v text);
ALTER TABLE doubled ADD PRIMARY KEY (id);
ALTER TABLE doubled REPLICA IDENTITY USING INDEX doubled_pkey;
CREATE TABLE refers (id int REFERENCES doubled (id));
UPDATE pg_index SET indisready = false WHERE indexrelid IN ('doubled_pkey'::regclass, 'parted_2_id_idx'::regclass);
INSERT INTO doubled VALUES (1, 'a'), (1, 'b'), (2, 'c');
INSERT INTO parted_2 VALUES (11, 3);
UPDATE pg_index SET indisready = true WHERE indexrelid IN ('doubled_pkey'::regclass, 'parted_2_id_idx'::regclass);
