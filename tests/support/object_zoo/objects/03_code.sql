-- Functions, triggers, views, rules, policies, operators, casts, collations, text search.
CREATE SCHEMA code;
CREATE FUNCTION code.twice(n int, "a b" text DEFAULT 'it''s', VARIADIC rest int[] DEFAULT '{}') RETURNS int
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 42 AS $body$ SELECT n * 2 -- $$ ; '
$body$;
CREATE FUNCTION code.twice(n text) RETURNS text LANGUAGE sql SET search_path = code, pg_temp SET work_mem = '64MB' AS 'SELECT n || n';
CREATE FUNCTION code.standard(n int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT n + 1; END;
CREATE FUNCTION code.returned(n int) RETURNS int LANGUAGE sql RETURN n + code.standard(n);
CREATE FUNCTION code.rows_of(OUT a int, OUT b text) RETURNS SETOF record LANGUAGE sql ROWS 7 AS $$ VALUES (1, 'x'), (2, 'y') $$;
CREATE FUNCTION code.tabular() RETURNS TABLE (x int, "Y y" text) LANGUAGE plpgsql SECURITY DEFINER AS $f$
BEGIN
    RETURN QUERY EXECUTE 'SELECT 1, ''$$''::text';
END
$f$;
CREATE FUNCTION code.standard_table() RETURNS TABLE (id int) LANGUAGE sql STABLE BEGIN ATOMIC
    SELECT c.id FROM kinds.every AS c WHERE c.a_bool;
END;
CREATE PROCEDURE code.work(INOUT n int, note text DEFAULT NULL) LANGUAGE plpgsql AS $$ BEGIN n := n + 1; COMMIT; END $$;
CREATE PROCEDURE code.standard_work(n int) LANGUAGE sql BEGIN ATOMIC INSERT INTO kinds.empty VALUES (n); END;
CREATE FUNCTION code.any_of(anycompatible, anycompatiblearray) RETURNS boolean LANGUAGE sql AS 'SELECT $1 = ANY ($2)';
CREATE FUNCTION code.broken() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT nothing FROM not_there); END $$;
COMMENT ON FUNCTION code.twice(int, text, int[]) IS 'two of it';
COMMENT ON PROCEDURE code.work(int, text) IS 'works';
CREATE AGGREGATE code.total(numeric) (SFUNC = numeric_add, STYPE = numeric, INITCOND = '0', COMBINEFUNC = numeric_add, PARALLEL = SAFE);
CREATE FUNCTION code.closer(float8, float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT abs($1 - $2)';
COMMENT ON AGGREGATE code.total(numeric) IS 'sums';
CREATE OPERATOR code.<-> (LEFTARG = float8, RIGHTARG = float8, FUNCTION = code.closer, COMMUTATOR = OPERATOR(code.<->));
CREATE FUNCTION code.same(kinds.pair, kinds.pair) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT ($1).a = ($2).a';
CREATE FUNCTION code.differs(kinds.pair, kinds.pair) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT ($1).a <> ($2).a';
CREATE OPERATOR code.=== (LEFTARG = kinds.pair, RIGHTARG = kinds.pair, FUNCTION = code.same, NEGATOR = OPERATOR(code.<!>),
    RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE OPERATOR code.<!> (LEFTARG = kinds.pair, RIGHTARG = kinds.pair, FUNCTION = code.differs, NEGATOR = OPERATOR(code.===));
COMMENT ON OPERATOR code.=== (kinds.pair, kinds.pair) IS 'by the first';
CREATE FUNCTION code.to_text(kinds.pair) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ($1).a::text';
CREATE CAST (kinds.pair AS text) WITH FUNCTION code.to_text(kinds.pair) AS ASSIGNMENT;
CREATE FUNCTION code.to_pair(int) RETURNS kinds.pair LANGUAGE sql IMMUTABLE AS 'SELECT ROW($1, NULL, NULL)::kinds.pair';
CREATE CAST (int AS kinds.pair) WITH FUNCTION code.to_pair(int);
CREATE CAST (kinds.mood AS varchar) WITH INOUT AS IMPLICIT;
COMMENT ON CAST (kinds.pair AS text) IS 'short';
CREATE COLLATION code.bytes FROM "C";
COMMENT ON COLLATION code.bytes IS 'as they lie';
CREATE TEXT SEARCH DICTIONARY code.plain (TEMPLATE = simple, ACCEPT = false, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION code.plain (PARSER = "default");
ALTER TEXT SEARCH CONFIGURATION code.plain ADD MAPPING FOR asciiword, word WITH code.plain, english_stem;
CREATE TEXT SEARCH CONFIGURATION code.copied (COPY = german);
COMMENT ON TEXT SEARCH CONFIGURATION code.plain IS 'words';
COMMENT ON TEXT SEARCH DICTIONARY code.plain IS 'a few';
CREATE TABLE code.texts (t text COLLATE code.bytes, v tsvector GENERATED ALWAYS AS (to_tsvector('code.plain', t)) STORED);
INSERT INTO code.texts VALUES ('The quick brown foxes'), ('ä'), ('Z'), ('a');
CREATE INDEX texts_words ON code.texts USING gin (to_tsvector('code.copied'::regconfig, t));

CREATE TABLE code.watched (id int PRIMARY KEY, note text, at timestamptz, old text);
CREATE TABLE code.log (what text);
CREATE FUNCTION code.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO code.log VALUES (TG_NAME); RETURN NEW; END $$;
INSERT INTO code.watched SELECT i, 'n' || i FROM generate_series(1, 10) AS i;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE OF note, at ON code.watched FOR EACH ROW WHEN (NEW.note IS DISTINCT FROM 'x') EXECUTE FUNCTION code.stamp('an ''argument''', '2');
CREATE TRIGGER "off" AFTER UPDATE ON code.watched FOR EACH ROW EXECUTE FUNCTION code.stamp();
CREATE TRIGGER always AFTER DELETE ON code.watched FOR EACH STATEMENT EXECUTE FUNCTION code.stamp();
CREATE TRIGGER on_replica AFTER TRUNCATE ON code.watched EXECUTE FUNCTION code.stamp();
CREATE TRIGGER transitions AFTER UPDATE ON code.watched REFERENCING OLD TABLE AS "Before" NEW TABLE AS after_it FOR EACH STATEMENT EXECUTE FUNCTION code.stamp();
CREATE CONSTRAINT TRIGGER checked AFTER INSERT ON code.watched FROM code.log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION code.stamp();
ALTER TABLE code.watched DISABLE TRIGGER "off";
ALTER TABLE code.watched ENABLE ALWAYS TRIGGER always;
ALTER TABLE code.watched ENABLE REPLICA TRIGGER on_replica;
COMMENT ON TRIGGER stamp ON code.watched IS 'when';
CREATE TRIGGER of_events BEFORE INSERT ON shop.events FOR EACH ROW EXECUTE FUNCTION code.stamp();
ALTER TABLE shop.events_rest DISABLE TRIGGER of_events;

CREATE VIEW code.plain_view AS SELECT * FROM code.watched;
CREATE VIEW code.guarded WITH (security_barrier) AS SELECT id FROM code.watched WHERE id > 3 WITH CASCADED CHECK OPTION;
CREATE VIEW code.as_asker WITH (security_invoker = true) AS SELECT note AS "the Note" FROM code.watched;
CREATE VIEW code.local_check AS SELECT id FROM code.watched WHERE id < 7 WITH LOCAL CHECK OPTION;
ALTER VIEW code.plain_view ALTER COLUMN note SET DEFAULT 'of the view';
CREATE RECURSIVE VIEW code.counting (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counting WHERE n < 5;
CREATE VIEW code.busy AS SELECT w.*, code.total(w.id) OVER (PARTITION BY w.note ORDER BY w.id) AS running FROM code.watched AS w;
-- Its primary key lets it leave columns out of GROUP BY: the view needs the index.
CREATE VIEW code.by_key AS SELECT w.id, w.note, count(*) AS n FROM code.watched AS w LEFT JOIN code.log AS l ON l.what = w.note GROUP BY w.id;
COMMENT ON VIEW code.by_key IS 'depends on a key';
COMMENT ON COLUMN code.by_key.n IS 'how many';
-- Two views that need each other.
CREATE VIEW code.left_one AS SELECT 1 AS x;
CREATE VIEW code.right_one AS SELECT x FROM code.left_one;
CREATE OR REPLACE VIEW code.left_one AS SELECT x FROM code.right_one WHERE false UNION ALL SELECT 1;
CREATE TRIGGER instead INSTEAD OF UPDATE ON code.busy FOR EACH ROW EXECUTE FUNCTION code.stamp();
CREATE MATERIALIZED VIEW code.totals AS SELECT note, count(*) AS n FROM code.watched GROUP BY note;
CREATE UNIQUE INDEX totals_by_note ON code.totals (note);
CREATE MATERIALIZED VIEW code.again WITH (fillfactor = 70) AS SELECT sum(n) AS n FROM code.totals;
CREATE MATERIALIZED VIEW code.not_yet AS SELECT 1 AS one WITH NO DATA;
ALTER MATERIALIZED VIEW code.totals ALTER COLUMN note SET STATISTICS 7;
ALTER MATERIALIZED VIEW code.totals CLUSTER ON totals_by_note;
COMMENT ON MATERIALIZED VIEW code.totals IS 'counted';
CREATE RULE no_delete AS ON DELETE TO code.watched WHERE OLD.id = 1 DO INSTEAD NOTHING;
CREATE RULE tell AS ON UPDATE TO code.watched DO ALSO (INSERT INTO code.log VALUES ('rule'); NOTIFY "a channel", 'payload');
CREATE RULE disabled AS ON INSERT TO code.log DO ALSO NOTHING;
ALTER TABLE code.log DISABLE RULE disabled;
COMMENT ON RULE tell ON code.watched IS 'speaks';

CREATE TABLE code.secrets (owner text, secret text);
INSERT INTO code.secrets SELECT 'nobody', 's' || i FROM generate_series(1, 10) AS i;
ALTER TABLE code.secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE code.secrets FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON code.secrets USING (owner = CURRENT_USER) WITH CHECK (secret <> '');
CREATE POLICY "as well" ON code.secrets AS RESTRICTIVE FOR SELECT TO PUBLIC USING (code.standard(1) = 2);
COMMENT ON POLICY own ON code.secrets IS 'each their own';
CREATE TABLE code.enabled_only (id int);
INSERT INTO code.enabled_only VALUES (1);
ALTER TABLE code.enabled_only ENABLE ROW LEVEL SECURITY;
CREATE TABLE code.forced_only (id int);
ALTER TABLE code.forced_only FORCE ROW LEVEL SECURITY;
CREATE POLICY sleeping ON code.forced_only FOR UPDATE USING (true);
