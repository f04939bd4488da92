"""Definitions of pg_dump are recognised if only a superuser can create the object."""

import pytest

from pgimport.worker.archive.sql_tokens import parse_tokens
from pgimport.worker.archive.superuser_only import find_policy_roles, find_superuser_reason

CREATABLE = [
    ("FUNCTION", "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS $$SELECT 1 -- LANGUAGE c\n$$;"),
    ("FUNCTION", "CREATE FUNCTION s.\"language c\"() RETURNS int LANGUAGE plpgsql AS 'BEGIN LEAKPROOF END';"),
    ("FUNCTION", "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1 AS leakproof;END;"),
    ("FUNCTION", "CREATE FUNCTION s.f() RETURNS int LANGUAGE plpgsql SET search_path TO '' AS $_$x$_$;"),
    ("FUNCTION", "CREATE FUNCTION s.f() RETURNS int LANGUAGE plpgsql NOT LEAKPROOF AS $_$x$_$;"),
    ("PROCEDURE", "CREATE PROCEDURE s.p(IN a integer) LANGUAGE plpgsql AS $$BEGIN COMMIT; END$$;"),
    ("TYPE", "CREATE TYPE s.mood AS ENUM ( 'sad', 'happy');"),
    ("TYPE", 'CREATE TYPE "odd AS name"."t.t" AS (a integer);'),
    ("TYPE", "CREATE TYPE s.r AS RANGE ( subtype = integer);"),
    ("FUNCTION", 'CREATE FUNCTION s."language"("language" c, "leakproof" int) RETURNS int LANGUAGE "sql" AS $$x$$;'),
    ("FUNCTION", "CREATE FUNCTION s.f() RETURNS TABLE(\"language\" c) LANGUAGE sql SET x TO 'log_statement' AS $$x$$;"),
    ("CAST", "CREATE CAST (s.a AS s.b) WITH FUNCTION s.f(s.a) AS IMPLICIT;"),
    ("CAST", "CREATE CAST (s.mood AS text) WITH INOUT AS ASSIGNMENT;"),
    ("AGGREGATE", "CREATE AGGREGATE s.total(integer) ( SFUNC = int4pl, STYPE = integer);"),
    ("TABLE", "CREATE TABLE s.c ( \"language c\" text DEFAULT 'LANGUAGE c'::text);"),
]
SUPERUSER_ONLY = [
    ("FUNCTION", "CREATE FUNCTION s.f(integer) RETURNS int LANGUAGE c STRICT AS '$libdir/x', 'f';", "language c"),
    ("FUNCTION", "CREATE FUNCTION s.f() RETURNS int LANGUAGE internal AS 'int4pl';", "language internal"),
    ("FUNCTION", "CREATE FUNCTION s.f() RETURNS text LANGUAGE plpython3u AS $$return 1$$;", "language plpython3u"),
    ("FUNCTION", "CREATE FUNCTION s.f() RETURNS bool LANGUAGE sql STABLE LEAKPROOF AS $$SELECT true$$;", "LEAKPROOF"),
    ("FUNCTION", "CREATE FUNCTION s.f() RETURNS x LANGUAGE sql SET session_replication_role TO x AS '';", "session_r"),
    ("FUNCTION", 'CREATE FUNCTION s.f("return" int, "as" int) RETURNS int LANGUAGE c AS \'x\';', "language c"),
    ("FUNCTION", "CREATE FUNCTION s.f(x int DEFAULT (1 AS y)) RETURNS int LANGUAGE internal AS 'x';", "internal"),
    ("FUNCTION", 'CREATE FUNCTION s.f() RETURNS int LANGUAGE sql SET "log_statement" TO x AS $$x$$;', "log_s"),
    ("TYPE", "CREATE TYPE s.box3 ( INTERNALLENGTH = 16, INPUT = s.box3_in);", "base type"),
    ("SHELL TYPE", "CREATE TYPE s.box3;", "base type"),
    ("CAST", "CREATE CAST (s.a AS s.b) WITHOUT FUNCTION;", "without a function"),
    ("AGGREGATE", "CREATE AGGREGATE s.total(integer) ( SFUNC = s.f, STYPE = internal);", "internal state"),
    ("OPERATOR CLASS", "CREATE OPERATOR CLASS …", "operator class"),
    ("ACCESS METHOD", "CREATE ACCESS METHOD …", "access method"),
]


@pytest.mark.parametrize(("kind", "definition"), CREATABLE)
def test_an_ordinary_role_can_create_it(kind: str, definition: str) -> None:
    assert find_superuser_reason(kind, definition) is None


@pytest.mark.parametrize(("kind", "definition", "reason"), SUPERUSER_ONLY)
def test_only_a_superuser_can_create_it(kind: str, definition: str, reason: str) -> None:
    assert reason in (find_superuser_reason(kind, definition) or "")


@pytest.mark.parametrize(
    ("definition", "roles"),
    [
        ("CREATE POLICY p ON s.t USING (true);", []),
        ("CREATE POLICY p ON s.t FOR SELECT TO PUBLIC USING (true);", []),
        ("CREATE POLICY p ON s.t TO alice, \"B o b\" USING ((x = 'TO carol'::text));", ["alice", "B o b"]),
        ('CREATE POLICY "to" ON s."to" USING (true);', []),
        ("CREATE POLICY p ON s.t USING ((x = '1'::interval year to month));", []),
        ("CREATE POLICY p ON s.t TO alice, PUBLIC;", []),
        ("CREATE POLICY p ON s.t TO CURRENT_USER, alice, alice;", ["alice", "alice"]),
        ('CREATE POLICY p ON s.t TO "public", "current_user";', ["public", "current_user"]),
        ('CREATE POLICY "to x" ON s.t FOR INSERT TO clerk WITH CHECK (true);', ["clerk"]),
    ],
)
def test_the_roles_of_a_policy_are_found(definition: str, roles: list[str]) -> None:
    assert find_policy_roles(definition) == roles


def test_tokens_do_not_include_comments_and_contents_of_quoted_texts() -> None:
    assert parse_tokens(r"E'it\'s -- ' b 'c:\\' d") == ["''", "b", "''", "d"]
    text = "a 'it''s' \"B\"\"c\" $x$ no $$ no $x$ -- no\n/* no */ D;"
    assert parse_tokens(text) == ["a", "''", 'B"c', "''", "d", ";"]
