-- Objects that an import skips and reports, and objects that depend on them.
CREATE SCHEMA outside;
CREATE FOREIGN DATA WRAPPER far;
CREATE SERVER away FOREIGN DATA WRAPPER far;
CREATE USER MAPPING FOR PUBLIC SERVER away OPTIONS ("user" 'x', password 'y');
CREATE FOREIGN TABLE outside.remote (x int) SERVER away;
COMMENT ON COLUMN outside.remote.x IS 'far';
CREATE VIEW outside.remote_view AS SELECT x FROM outside.remote;
COMMENT ON VIEW outside.remote_view IS 'far as well';
CREATE PUBLICATION news FOR TABLE shop.customers;
CREATE FUNCTION outside.ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION outside.ddl();
ALTER EVENT TRIGGER watch DISABLE;
CREATE FUNCTION outside.native(int) RETURNS int LANGUAGE internal AS 'int4abs';
CREATE FUNCTION outside.quiet(int) RETURNS boolean LANGUAGE sql LEAKPROOF AS 'SELECT true';
CREATE AGGREGATE outside.ranked(VARIADIC "any" ORDER BY VARIADIC "any")
    (SFUNC = ordered_set_transition_multi, STYPE = internal, FINALFUNC = rank_final, FINALFUNC_EXTRA, HYPOTHETICAL);
CREATE CAST (xid AS int) WITHOUT FUNCTION;
CREATE VIEW outside.needs_quiet AS SELECT outside.quiet(1) AS q;
CREATE OPERATOR CLASS outside.by_pair FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int);
