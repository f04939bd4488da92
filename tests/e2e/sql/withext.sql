CREATE EXTENSION tablefunc;
CREATE EXTENSION pgcrypto;
CREATE TABLE public.rows AS SELECT generate_series(1, 10) AS id;
CREATE TABLE public.pivots (id integer, pivot public.tablefunc_crosstab_2);
