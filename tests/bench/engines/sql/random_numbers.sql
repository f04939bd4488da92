-- Returns a number below n that is the same on every machine. All random values of the scripts come from it.
CREATE FUNCTION pg_temp.pick(place bigint, seed bigint, n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN (hashint8extended(place, seed) & 9223372036854775807) % n;
