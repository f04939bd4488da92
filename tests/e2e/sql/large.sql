-- About a hundred megabytes: more than the disk of tests/chaos/full_disk.py has room for.
CREATE TABLE public.padding AS SELECT n AS id, repeat(md5(n::text), 60) AS text FROM generate_series(1, 50000) AS n;
ALTER TABLE public.padding ALTER text SET STORAGE PLAIN;
