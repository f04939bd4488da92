"""Tables as pg_dump writes them: which parts of a definition can be taken out, and what is left of it."""

import pytest

from pgimport.worker.archive.sql_tokens import scan_tokens
from pgimport.worker.archive.trim import CHECK, DEFAULT, mentions_name, trim_table

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


def test_parts_are_found() -> None:
    assert [(part.kind, part.name) for part in trim_table(TABLE, lambda _: True)[1]] == [
        (DEFAULT, "id"),
        (DEFAULT, "owner, x"),
        (DEFAULT, "c"),
        (CHECK, "kk"),
        (CHECK, "positive"),
    ]


def test_what_is_left_is_a_table() -> None:
    definition, taken = trim_table(TABLE, lambda part: mentions_name(part.tokens, {("auth", "s"), ("auth", "uid")}))
    assert [part.name for part in taken] == ["id", "owner, x"]
    assert '"id" integer NOT NULL,' in definition
    assert '"owner, x" integer CONSTRAINT "given" NOT NULL,' in definition
    definition, taken = trim_table(TABLE, lambda part: part.kind == CHECK)
    assert [part.name for part in taken] == ["kk", "positive"]
    assert definition.endswith('("auth"."im"(1)) STORED\n)\nPARTITION BY LIST ("id");\n')


@pytest.mark.parametrize(
    ("given", "unwanted", "left"),
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
        pytest.param("CREATE TABLE a.b (\n);", {"x"}, "CREATE TABLE a.b (\n);", id="none"),
    ],
)
def test_commas_stay_right(given: str, unwanted: set[str], left: str) -> None:
    assert trim_table(given, lambda part: part.name in unwanted)[0] == left


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
