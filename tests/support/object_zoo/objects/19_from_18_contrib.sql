-- Features of PostgreSQL 18 that need contrib.
CREATE TABLE from_18.stays (room int, during tsrange, CONSTRAINT one_at_a_time PRIMARY KEY (room, during WITHOUT OVERLAPS));
INSERT INTO from_18.stays VALUES (1, '[2024-01-01,2024-02-01)'), (1, '[2024-02-01,2024-03-01)');
CREATE TABLE from_18.within (room int, during tsrange, CONSTRAINT while_it_lasts FOREIGN KEY (room, PERIOD during) REFERENCES from_18.stays (room, PERIOD during));
INSERT INTO from_18.within VALUES (1, '[2024-01-05,2024-02-05)');
CREATE INDEX made_b ON from_18.needed USING gin (to_tsvector('simple', a::text));
