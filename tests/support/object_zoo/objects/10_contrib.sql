-- Objects that need contrib, ICU, lz4 or XML, in schemas with unusual names.
CREATE SCHEMA extensions;
CREATE SCHEMA "Ext ensions";
CREATE EXTENSION hstore SCHEMA extensions;
CREATE EXTENSION citext SCHEMA "Ext ensions";
CREATE EXTENSION pg_trgm SCHEMA extensions;
CREATE EXTENSION btree_gist SCHEMA public;
CREATE EXTENSION "uuid-ossp" SCHEMA extensions;
CREATE EXTENSION ltree SCHEMA "Ext ensions";
CREATE EXTENSION unaccent SCHEMA pg_catalog;
CREATE TABLE public.extended (
    id uuid DEFAULT extensions.uuid_generate_v4() PRIMARY KEY, name "Ext ensions".citext UNIQUE, attributes extensions.hstore, place "Ext ensions".ltree,
    room int, during tsrange, EXCLUDE USING gist (room WITH =, during WITH &&)
);
INSERT INTO public.extended SELECT extensions.uuid_generate_v5(extensions.uuid_ns_url(), i::text), 'Name ' || i,
    extensions.hstore(ARRAY['a "b"', i::text, 'n', NULL]), ('a.b' || i)::"Ext ensions".ltree, i, tsrange('2024-01-01', NULL)
FROM generate_series(1, 100) AS i;
CREATE INDEX extended_trigrams ON public.extended USING gin ((name::text) extensions.gin_trgm_ops);
CREATE INDEX extended_near ON public.extended USING gist ((name::text) extensions.gist_trgm_ops (siglen = 32));
CREATE INDEX extended_tree ON public.extended USING gist (place);
CREATE INDEX extended_attributes ON public.extended USING gin (attributes);
CREATE VIEW public.extended_view AS SELECT name, attributes OPERATOR(extensions.->) 'a' AS a FROM public.extended WHERE name = 'x';
COMMENT ON EXTENSION hstore IS 'ours';
CREATE TEXT SEARCH CONFIGURATION public.bare (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION public.bare ALTER MAPPING FOR word WITH unaccent, simple;

CREATE COLLATION public.phonebook (provider = icu, locale = 'de-u-co-phonebk');
CREATE COLLATION public.no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE public.sorted (a text COLLATE public.phonebook, b text COLLATE public.no_case UNIQUE, c text COLLATE "de-x-icu");
INSERT INTO public.sorted VALUES ('Ärger', 'Ä', 'ö'), ('Aerger', 'b', 'o'), ('Zebra', 'c', 'z');
CREATE INDEX sorted_a ON public.sorted (a);
CREATE TABLE public.packed (a text COMPRESSION lz4, b bytea COMPRESSION pglz, x xml);
INSERT INTO public.packed VALUES (repeat('lz4 ', 10000), convert_to(repeat('pglz', 10000), 'UTF8'), '<a>text &amp; <b c="d"/></a>'),
    (NULL, NULL, 'no document, <content/>');
CREATE VIEW public.parsed AS SELECT (xpath('//b/@c', x))[1] AS c, XMLELEMENT(NAME e, XMLATTRIBUTES(b AS q), 'x') AS e FROM public.packed;
