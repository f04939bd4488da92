-- Creates :large_objects large objects of some kilobytes each.
SELECT count(lo_from_bytea(
    (100000 + n)::oid, convert_to(repeat(md5('lo' || n) || md5('lo' || n * 2), 1 + pg_temp.pick(n, 90, 300)::int), 'UTF8')
))
FROM generate_series(1, :large_objects) AS n;
