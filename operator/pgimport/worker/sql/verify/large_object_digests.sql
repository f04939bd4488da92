-- Lists the large objects in the order of their oids, each with 64 bits of a digest of its content. Reads chunks of
-- :chunk_bytes, because a value is limited to 1 GB and an object is not.
SELECT o.oid::bigint, pg_catalog.substring(content.digest, 1, 8)
FROM pg_catalog.pg_largeobject_metadata AS o
CROSS JOIN LATERAL (
    WITH RECURSIVE chunk (number, digest, length) AS (
        SELECT 0::bigint, pg_catalog.sha256(first.bytes), pg_catalog.length(first.bytes)
        FROM pg_catalog.lo_get(o.oid, 0, %(chunk_bytes)s) AS first (bytes)
        UNION ALL
        SELECT chunk.number + 1, pg_catalog.sha256(next.bytes), pg_catalog.length(next.bytes)
        FROM chunk
        CROSS JOIN LATERAL pg_catalog.lo_get(o.oid, (chunk.number + 1) * %(chunk_bytes)s, %(chunk_bytes)s) AS next (bytes)
        WHERE chunk.length = %(chunk_bytes)s
    )
    SELECT pg_catalog.sha256(pg_catalog.string_agg(chunk.digest, ''::bytea ORDER BY chunk.number)) FROM chunk
) AS content (digest)
ORDER BY o.oid;
