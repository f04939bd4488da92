-- Extensions of the allow-list, in public and in the schema `ext`, with objects that need them.
CREATE EXTENSION pgcrypto SCHEMA ext;
CREATE EXTENSION citext;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION hstore SCHEMA ext;
CREATE TABLE public.words (id uuid DEFAULT ext.gen_random_uuid() PRIMARY KEY, word public.citext UNIQUE, more ext.hstore);
INSERT INTO public.words (word, more) SELECT 'Word ' || n, ext.hstore('n', n::text) FROM generate_series(1, 50) AS n;
CREATE INDEX words_by_trigram ON public.words USING gin ((word::text) public.gin_trgm_ops);
