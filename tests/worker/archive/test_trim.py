"""Defaults and checks are removed from the definition of a table, and the rest stays valid."""

import pytest

from pgimport.worker.archive.sql_tokens import scan_tokens
from pgimport.worker.archive.trim import (
    CHECK,
    DEFAULT,
    build_addition,
    build_not_valid,
    mentions_name,
    trim_domain,
    trim_table,
)

TABLE = """CREATE TABLE "public"."t" (
    "id" integer DEFAULT "nextval"('"auth"."s"'::"regclass") NOT NULL,
    "owner, x" integer DEFAULT "auth"."uid"() CONSTRAINT "given" NOT NULL,
    "c" "text" DEFAULT 'x, ) DEFAULT'::"text" COLLATE "pg_catalog"."default",
    "default" integer,
    "g" integer GENERATED ALWAYS AS ("auth"."im"(1)) STORED,
    CONSTRAINT "kk" CHECK ("auth"."ok"("id")),
    CONSTRAINT "positive" CHECK (("id" > 0))
)
PARTITION BY LIST ("id");
"""


def test_defaults_and_checks_are_found() -> None:
    assert [(part.kind, part.name) for part in trim_table(TABLE, lambda _: True)[1]] == [
        (DEFAULT, "id"),
        (DEFAULT, "owner, x"),
        (DEFAULT, "c"),
        (CHECK, "kk"),
        (CHECK, "positive"),
    ]


def test_the_trimmed_definition_is_valid() -> None:
    definition, removed = trim_table(TABLE, lambda part: mentions_name(part.tokens, {("auth", "s"), ("auth", "uid")}))
    assert [part.name for part in removed] == ["id", "owner, x"]
    assert '"id" integer NOT NULL,' in definition
    assert '"owner, x" integer CONSTRAINT "given" NOT NULL,' in definition
    definition, removed = trim_table(TABLE, lambda part: part.kind == CHECK)
    assert [part.name for part in removed] == ["kk", "positive"]
    assert definition.endswith('("auth"."im"(1)) STORED\n)\nPARTITION BY LIST ("id");\n')


@pytest.mark.parametrize(
    ("definition", "names", "trimmed"),
    [
        pytest.param(
            "CREATE TABLE a.b (\n    CONSTRAINT x CHECK (true),\n    CONSTRAINT y CHECK (true)\n);",
            {"x"},
            "CREATE TABLE a.b (\n    CONSTRAINT y CHECK (true)\n);",
            id="the first of two",
        ),
        pytest.param(
            "CREATE TABLE a.b (\n    CONSTRAINT x CHECK (true)\n);",
            {"x"},
            "CREATE TABLE a.b (\n    \n);",
            id="the only one",
        ),
        pytest.param(
            "CREATE TABLE a.b (\n    CONSTRAINT x CHECK (true),\n    CONSTRAINT y CHECK (true)\n);",
            {"x", "y"},
            "CREATE TABLE a.b (\n    \n);",
            id="both",
        ),
        pytest.param(
            "CREATE TABLE a.b OF a.t (\n    i DEFAULT s.f(1, 2),\n    j DEFAULT 3\n);",
            {"i"},
            "CREATE TABLE a.b OF a.t (\n    i,\n    j DEFAULT 3\n);",
            id="of a type",
        ),
        pytest.param(
            "CREATE TABLE a.b (\n    i numeric(9,2) DEFAULT 1.5,\n    CONSTRAINT x CHECK (a),\n    j int DEFAULT 7);",
            {"x"},
            "CREATE TABLE a.b (\n    i numeric(9,2) DEFAULT 1.5,\n    j int DEFAULT 7);",
            id="between numbers",
        ),
        pytest.param("CREATE TABLE a.b (\n);", {"x"}, "CREATE TABLE a.b (\n);", id="none"),
    ],
)
def test_commas_stay_correct(definition: str, names: set[str], trimmed: str) -> None:
    assert trim_table(definition, lambda part: part.name in names)[0] == trimmed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auth.uid()", True),
        ('"auth" . "uid"()', True),
        ("nextval('auth.uid'::regclass)", True),
        ("public.uid()", False),
        ("auth.uidx()", False),
        ("'auth uid'", False),
        ("auth", False),
    ],
)
def test_names_are_found_in_expressions(text: str, expected: bool) -> None:
    assert mentions_name(list(scan_tokens(text)), {("auth", "uid")}) is expected


DOMAIN = """CREATE DOMAIN "public"."d" AS varchar(20) COLLATE "pg_catalog"."C" NOT NULL DEFAULT public.f('a, not'::text)
\tCONSTRAINT "one" CHECK ((length((VALUE)::text) > 0))
\tCONSTRAINT two CHECK (public.ok(VALUE));
"""


@pytest.mark.parametrize(
    ("names", "clauses", "rest"),
    [
        (
            {"one", "two"},
            ['CONSTRAINT "one" CHECK ((length((VALUE)::text) > 0))', "CONSTRAINT two CHECK (public.ok(VALUE))"],
            " NOT NULL DEFAULT public.f('a, not'::text);",
        ),
        ({""}, ["DEFAULT public.f('a, not'::text)"], ' NOT NULL\n\tCONSTRAINT "one" CHECK ('),
        (set(), [], "(public.ok(VALUE));"),
    ],
)
def test_parts_of_a_domain_are_removed(names: set[str], clauses: list[str], rest: str) -> None:
    definition, removed = trim_domain(DOMAIN, lambda part: part.name in names)
    assert [part.clause for part in removed] == clauses
    assert rest in definition


def test_a_removed_part_is_added_by_a_statement_of_its_own() -> None:
    _, parts = trim_table(
        'CREATE TABLE s.t (\n    "A" int DEFAULT 1,\n    CONSTRAINT c CHECK ((a > 0)) NO INHERIT\n);', lambda _: True
    )
    statements = [build_addition("TABLE", ("s", "t"), part) for part in parts]
    assert statements == [
        'ALTER TABLE ONLY "s"."t" ALTER COLUMN "A" SET DEFAULT 1;',
        'ALTER TABLE "s"."t" ADD CONSTRAINT c CHECK ((a > 0)) NO INHERIT;',
    ]
    assert build_not_valid(statements[1] + "\n\n").endswith("NO INHERIT NOT VALID;")


@pytest.mark.parametrize("text", ["a OPERATOR(auth.===) b", "'auth.==='::regoper", 'a OPERATOR("auth".===) b'])
def test_operators_are_found_in_expressions(text: str) -> None:
    assert mentions_name(list(scan_tokens(text)), {("auth", "===")})
    assert not mentions_name(list(scan_tokens(text)), {("auth", "==")})
