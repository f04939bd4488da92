-- Large objects of many sizes, with comments and privileges.
SELECT lo_from_bytea(4000 + i, ('large ' || i)::bytea) FROM generate_series(1, 5) AS i;
SELECT lo_create(4010);
SELECT lo_from_bytea(4011, decode(repeat('00ff0a5c', 100000), 'hex'));
SELECT lo_from_bytea(4294967294, 'the last'::bytea);
COMMENT ON LARGE OBJECT 4001 IS 'with a ''comment''';
GRANT SELECT ON LARGE OBJECT 4002 TO PUBLIC;
CREATE TABLE public.pictures (id int PRIMARY KEY, picture oid);
INSERT INTO public.pictures SELECT i, 4000 + i FROM generate_series(1, 5) AS i;
