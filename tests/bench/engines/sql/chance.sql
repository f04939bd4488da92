-- A number below n, the same on every machine: the script's only chance.
CREATE FUNCTION pg_temp.pick(place bigint, seed bigint, n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN (hashint8extended(place, seed) & 9223372036854775807) % n;
