-- Types of every kind, and a column of every type with values that a copy easily damages.
CREATE SCHEMA kinds;
COMMENT ON SCHEMA kinds IS 'a comment with ''quotes'', a back\slash, a
new line and ünïcödé';
CREATE TYPE kinds.mood AS ENUM ('sad', 'it''s "ok"', 'hap,py', 'after sad');
ALTER TYPE kinds.mood ADD VALUE 'before all' BEFORE 'sad';
COMMENT ON TYPE kinds.mood IS 'in an order of its own';
CREATE TYPE kinds.nothing AS ENUM ();
CREATE TYPE kinds.pair AS (a int, "B b" text, c numeric(7, 3));
COMMENT ON COLUMN kinds.pair.a IS 'the first';
CREATE TYPE kinds.nested AS (one kinds.pair, many kinds.pair[]);
CREATE DOMAIN kinds.email AS text COLLATE "C" DEFAULT 'a@b' NOT NULL
    CONSTRAINT has_at CHECK (VALUE LIKE '%@%') CONSTRAINT "no space" CHECK (VALUE NOT LIKE '% %');
COMMENT ON DOMAIN kinds.email IS 'a mail';
COMMENT ON CONSTRAINT has_at ON DOMAIN kinds.email IS 'at least one';
CREATE DOMAIN kinds.small AS int CHECK (VALUE < 100);
CREATE DOMAIN kinds.smaller AS kinds.small CHECK (VALUE < 10);
CREATE DOMAIN kinds.late AS int;
CREATE TABLE kinds.latecomers (n kinds.late);
INSERT INTO kinds.latecomers VALUES (-1), (1);
ALTER DOMAIN kinds.late ADD CONSTRAINT positive CHECK (VALUE > 0) NOT VALID;
CREATE DOMAIN kinds.pairs AS kinds.pair[];
CREATE FUNCTION kinds.distance(a float8, b float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a - b';
CREATE TYPE kinds.floats AS RANGE (subtype = float8, subtype_diff = kinds.distance, multirange_type_name = kinds.many_floats);
CREATE TYPE kinds.texts AS RANGE (subtype = text, collation = "C");
COMMENT ON TYPE kinds.floats IS 'a range';

CREATE TABLE kinds.every (
    id int PRIMARY KEY,
    a_bool boolean, a_smallint smallint, a_bigint bigint, a_real real, a_double double precision,
    a_numeric numeric, a_fixed numeric(20, 5), a_negative_scale numeric(3, -2), a_money money,
    a_text text, a_varchar varchar(10), a_char char(5), a_one "char", a_name name, a_bytea bytea,
    a_date date, a_time time, a_time3 time(3), a_timetz timetz, a_timestamp timestamp, a_timestamptz timestamptz(2),
    an_interval interval, an_interval_ym interval year to month, an_interval_s interval second(2),
    a_uuid uuid, a_json json, a_jsonb jsonb, a_path jsonpath, an_inet inet, a_cidr cidr, a_mac macaddr, a_mac8 macaddr8,
    a_bit bit(5), a_varbit varbit(9), a_vector tsvector, a_query tsquery,
    a_point point, a_line line, a_segment lseg, a_box box, a_way path, a_polygon polygon, a_circle circle,
    an_oid oid, an_xid xid, an_xid8 xid8, a_cid cid, a_tid tid, a_lsn pg_lsn, a_snapshot pg_snapshot,
    a_class regclass, a_type regtype, a_proc regprocedure, a_role regrole, a_namespace regnamespace, a_collation regcollation,
    an_int4range int4range, an_int8range int8range, a_numrange numrange, a_tsrange tsrange, a_tstzrange tstzrange,
    a_daterange daterange, a_multirange int4multirange, a_tstzmultirange tstzmultirange,
    a_mood kinds.mood, a_pair kinds.pair, a_nested kinds.nested, a_mail kinds.email, a_small kinds.smaller,
    some_pairs kinds.pairs, a_float_range kinds.floats, many_floats kinds.many_floats, a_text_range kinds.texts,
    ints int[], texts text[], matrix numeric(5, 2)[][], moods kinds.mood[], ranges int4range[], times timestamptz[]
);
INSERT INTO kinds.every (id, a_mail) VALUES (1, 'only@null');
INSERT INTO kinds.every VALUES (
    2, true, -32768, -9223372036854775808, '-0', '-0', 'NaN', 12345678901234.56789, 12300, '-$92,233,720,368,547,758.08',
    E'tab\t newline\n return\r backslash\\ end \\. null \\N quote '' " \b\f\v', 'ünïcödé', 'a', 'x', 'name', '\x00ff5c0a',
    '4713-01-01 BC', '24:00:00', '23:59:59.999', '23:59:59.123456+15:59', '4713-01-01 00:00:00 BC', '-infinity',
    '-1 year 2 mons -3 days 04:05:06.789', '-1 year 3 mons', '1.239 sec',
    '00000000-0000-0000-0000-000000000000', '{"b": 1,  "a": [1.0, 1e400], "b": null}', '{"b": 1, "a": [1.0, "\u00e4"], "": null}',
    '$.a[*] ? (@ > 1)', '::ffff:1.2.3.4/96', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05',
    B'10101', B'', '''it''''s'':3A "b c":1 x', '''a b'' & !c <2> d:*A', '(1e-300,-0)', '{1,-1,0}', '((0,0),(1,1))', '(1,1),(0,0)',
    '[(0,0),(1,1)]', '((0,0),(1,1),(2,0))', '<(0,0),1.1>', '4294967295', '4294967295', '18446744073709551615', '1', '(4294967295,1)',
    'FFFFFFFF/0', '10:20:10,14,15',
    'kinds.every', 'kinds.pair[]', 'kinds.distance(float8,float8)', 'pg_monitor', 'kinds', '"C"',
    'empty', '[1,)', '(,)', '[-infinity,infinity]', '["2024-03-31 01:59:59+00",)', '[2024-02-29,2024-03-01)',
    '{[1,2),[5,)}', '{}', 'it''s "ok"', ROW(1, E'a,"b\\(\n)', NULL), ROW(ROW(NULL, '', 0), ARRAY[ROW(1, 'x', 2)]::kinds.pair[]),
    'x@y', 9, ARRAY[ROW(1, 'y', 3)]::kinds.pair[], '[-infinity,NaN]', '{[0.1,0.3]}', '["a,b","c""d"]',
    '[0:1]={1,NULL}', ARRAY['NULL', NULL, '', '{}', 'a"b\', ' '], '{{1.1,2.2},{3.3,4.4}}', '{"hap,py",sad}', '{empty,"[1,2)"}',
    '{infinity,"2024-01-01 00:00:00+00"}'
);
INSERT INTO kinds.every (id, a_real, a_double, a_numeric, a_money, a_date, a_timestamp, a_timestamptz, an_interval, a_mail, a_bytea)
VALUES (3, '1.17549435e-38', '5e-324', '-Infinity', '0.01', 'infinity', '294276-12-31 23:59:59.999999', '2024-01-02 03:04:05.67+05:30',
        '178000000 years', 'a@', ''),
       (4, 'Infinity', '1.7976931348623157e308', 1e-16000, 0, '5874897-12-31', '2024-02-03 04:05:06', '0044-03-15 12:00:00 BC', '-00:00:00.000001', '@',
        decode(repeat('00', 100000), 'hex'));
INSERT INTO kinds.every (id, a_real, a_double, a_date, a_mail, a_text)
SELECT 100 + i, i / 7.0::real, i / 7.0::float8, date '2024-01-01' + i, 'm' || i || '@x', repeat(chr(32 + i % 900), i) FROM generate_series(1, 300) AS i;
CREATE TABLE kinds.no_columns ();
INSERT INTO kinds.no_columns DEFAULT VALUES;
INSERT INTO kinds.no_columns DEFAULT VALUES;
CREATE TABLE kinds.empty (id int);
CREATE TABLE kinds.of_type OF kinds.pair (PRIMARY KEY (a), c WITH OPTIONS DEFAULT 5);
INSERT INTO kinds.of_type VALUES (1, 'x', 2);
CREATE TABLE kinds.dropped (a int, gone text, b int DEFAULT 5, gone_too int, c text DEFAULT 'c');
INSERT INTO kinds.dropped VALUES (1, 'x', 2, 3, 'y');
ALTER TABLE kinds.dropped DROP COLUMN gone, DROP COLUMN gone_too;
ALTER TABLE kinds.dropped ADD COLUMN later int DEFAULT 7;
CREATE TABLE kinds.generated (
    id bigint GENERATED ALWAYS AS IDENTITY (START 5 INCREMENT 5 MINVALUE 5 MAXVALUE 5000 CACHE 3 CYCLE) PRIMARY KEY,
    other int GENERATED BY DEFAULT AS IDENTITY, base text, loud text GENERATED ALWAYS AS (upper(base)) STORED,
    total numeric GENERATED ALWAYS AS (length(base) * 1.5) STORED
);
INSERT INTO kinds.generated (base) SELECT 'b' || i FROM generate_series(1, 50) AS i;
INSERT INTO kinds.generated (id, base) OVERRIDING SYSTEM VALUE VALUES (3, 'three');
