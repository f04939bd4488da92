-- A dump of it can be made but not restored: a constraint that only its own database fulfils.
CREATE FUNCTION public.at_home(integer) RETURNS boolean LANGUAGE sql IMMUTABLE
AS $$ SELECT pg_catalog.current_database() = 'broken' $$;
CREATE TABLE public.fine AS SELECT generate_series(1, 1000) AS id;
CREATE TABLE public.homesick (id integer CONSTRAINT only_at_home CHECK (public.at_home(id)));
INSERT INTO public.homesick VALUES (1), (2);
