-- :events JSON documents with GIN indexes, and :documents texts with full text search.
CREATE SCHEMA web;
CREATE TABLE web.events (
    id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL, session uuid NOT NULL, body jsonb NOT NULL
);
INSERT INTO web.events (at, session, body)
SELECT timestamptz '2026-01-01 00:00Z' + n * interval '3 seconds', md5((n / 12)::text)::uuid,
       jsonb_build_object(
           'user', pg_temp.pick(n, 60, 40000),
           'kind', (ARRAY['view', 'click', 'search', 'buy', 'leave'])[1 + pg_temp.pick(n, 61, 5)],
           'path', '/shop/' || pg_temp.pick(n, 62, 5000) || '/' || pg_temp.pick(n, 63, 20),
           'took', pg_temp.pick(n, 64, 90000) / 1000.0,
           'device', jsonb_build_object('name', 'device-' || pg_temp.pick(n, 65, 300), 'touch', pg_temp.pick(n, 66, 2) = 1),
           'tags', jsonb_build_array('tag-' || pg_temp.pick(n, 67, 200), 'tag-' || pg_temp.pick(n, 68, 200))
       )
FROM generate_series(1, :events) AS n;
ALTER TABLE web.events ADD PRIMARY KEY (id);
CREATE INDEX ON web.events USING gin (body jsonb_path_ops);
CREATE INDEX ON web.events ((body ->> 'kind'), at);
CREATE INDEX ON web.events (session);

CREATE TEMPORARY TABLE paragraphs AS
SELECT paragraph, string_agg('word' || pg_temp.pick(paragraph * 1000 + word, 70, 1 + pg_temp.pick(word, 71, 4000)), ' ') AS text
FROM generate_series(0, 999) AS paragraph, generate_series(1, 90) AS word GROUP BY paragraph;
CREATE TABLE web.documents (
    id uuid NOT NULL, title text NOT NULL, body text NOT NULL, revision int NOT NULL DEFAULT 1, search tsvector NOT NULL
);
INSERT INTO web.documents (id, title, body, search)
SELECT md5('d' || n)::uuid, 'Document ' || n, one.text || E'\n\n' || two.text || E'\n\n\t"' || three.text || '" \ ' || n,
       to_tsvector('simple', 'Document ' || n || ' ' || one.text)
FROM generate_series(1, :documents) AS n
JOIN paragraphs AS one ON one.paragraph = pg_temp.pick(n, 72, 1000)
JOIN paragraphs AS two ON two.paragraph = pg_temp.pick(n, 73, 1000)
JOIN paragraphs AS three ON three.paragraph = pg_temp.pick(n, 74, 1000);
DROP TABLE paragraphs;
ALTER TABLE web.documents ADD PRIMARY KEY (id);
CREATE INDEX ON web.documents USING gin (search);
CREATE INDEX ON web.documents (title);
