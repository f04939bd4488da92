-- Restoring it takes seconds whatever the machine: the value of each row is computed by a function that sleeps.
CREATE FUNCTION public.slowly(integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE TABLE public.slow_rows (
    id integer PRIMARY KEY,
    slow boolean GENERATED ALWAYS AS (public.slowly(id)) STORED
);
INSERT INTO public.slow_rows SELECT generate_series(1, 120);
CREATE OR REPLACE FUNCTION public.slowly(integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
AS 'BEGIN PERFORM pg_catalog.pg_sleep(0.1); RETURN true; END';
