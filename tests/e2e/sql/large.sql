-- About thirty megabytes.
CREATE TABLE public.padding AS SELECT n AS id, repeat(md5(n::text), 60) AS text FROM generate_series(1, 14000) AS n;
ALTER TABLE public.padding ALTER text SET STORAGE PLAIN;
