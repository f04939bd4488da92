"""Which extensions the objects of a plain SQL file need."""

import pytest

from pgimport.model.result import SourceExtension
from pgimport.worker.checks.plain_needs import PlainNeeds
from pgimport.worker.engines.file.plain_sql_lexer import SqlStatement
from pgimport.worker.engines.file.plain_statement import parse_statement
from pgimport.worker.engines.file.search_path import SearchPath

EMPTY_PATH = "SELECT pg_catalog.set_config('search_path', '', false);"
EXTENSIONS = [
    SourceExtension(name="hstore", version="", schema_name="public"),
    SourceExtension(name="own", version="", schema_name="public"),
    SourceExtension(name="other", version="", schema_name="ext"),
]


def find_needs(*statements: str) -> dict[str, list[str]] | None:
    needs = PlainNeeds()
    for text in statements:
        needs.add(parse_statement(SqlStatement(text.encode(), 1, b""), "utf-8", SearchPath()))
    built = needs.build(EXTENSIONS)
    return None if built is None else built.objects


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("CREATE TABLE public.t (a int, b public.mood);", {}),
        ("CREATE TABLE public.t (a public.hstore);", {"hstore": ["TABLE public.t"]}),
        ("CREATE TABLE public.t (a public.thing);", {"hstore": ["TABLE public.t"], "own": ["TABLE public.t"]}),
        ("CREATE TABLE public.t (a ext.thing);", {"other": ["TABLE public.t"]}),
        ("CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT ext.f()';", {}),
        ("COMMENT ON FUNCTION ext.f() IS 'x';", {}),
        ("ALTER FUNCTION ext.f() OWNER TO alice;", {}),
        ("CREATE EXTENSION other WITH SCHEMA ext;", {}),
    ],
)
def test_a_name_that_the_file_does_not_create_belongs_to_an_extension(
    statement: str, expected: dict[str, list[str]]
) -> None:
    assert find_needs(EMPTY_PATH, "CREATE TYPE public.mood AS ENUM ('sad');", statement) == expected


def test_a_file_with_a_search_path_does_not_tell_what_its_objects_need() -> None:
    assert find_needs("SET search_path = public;", "CREATE TABLE t (a hstore);") is None
