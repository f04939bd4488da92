CREATE TABLE public.things (id integer PRIMARY KEY, name text NOT NULL);
INSERT INTO public.things SELECT n, 'thing ' || n FROM generate_series(1, 25) AS n;
