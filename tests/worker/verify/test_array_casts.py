"""The cast of an array, as a server prints it before and after a restore."""

import pytest
from tests.support.postgres import PostgresServer

from pgimport.worker.verify.array_casts import move_array_casts

QUERIES = (
    "status IN ('a', 'b, ]', 'it''s')",
    "status = 'x' AND status NOT IN ('a', 'b') OR status IN ('c')",
    "CASE WHEN status IN ('a', 'b') THEN code IN ('c', 'd') ELSE number IN (1, 2) END",
    "upper(status) = ANY (ARRAY['a'::varchar, lower('B')::varchar])",
    "code = ANY (ARRAY['a'::varchar, 'b'::varchar]::text[])",
    "number = ANY (ARRAY[1, 2]::bigint[])",
    "price = ANY (ARRAY[1.5, 2]::double precision[])",
)


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        (
            "a = ANY ((ARRAY['b'::varchar, 'c'::varchar])::text[])",
            "a = ANY (ARRAY[('b'::varchar)::text, ('c'::varchar)::text])",
        ),
        ("x((ARRAY[1, f(2, 3)])::double precision[])", "x(ARRAY[(1)::double precision, (f(2, 3))::double precision])"),
        ("(ARRAY[1])::public.own", "(ARRAY[1])::public.own"),
        ("(ARRAY[1, 2])[1]", "(ARRAY[1, 2])[1]"),
        ("'(ARRAY[1])::text[]'", "'(ARRAY[1])::text[]'"),
        ("(ARRAY[", "(ARRAY["),
    ],
)
def test_a_cast_of_an_array_becomes_casts_of_its_elements(text: str, moved: str) -> None:
    assert move_array_casts(text) == moved


@pytest.mark.parametrize("query", QUERIES)
def test_a_view_prints_the_same_after_a_restore(postgres16: PostgresServer, query: str) -> None:
    """What the server prints is read again, as a restore does."""
    with postgres16.database("array_casts") as name, postgres16.connect(name) as connection:
        connection.execute("CREATE TABLE t (status varchar(20), code varchar, number bigint, price float8)")
        connection.execute(f"CREATE VIEW first AS SELECT {query} AS x FROM t".encode())  # noqa: S608 (the query is a constant of this file)
        ((first,),) = connection.execute("SELECT pg_get_viewdef('first'::regclass)").fetchall()
        connection.execute(f"CREATE VIEW second AS {first}".encode())
        ((second,),) = connection.execute("SELECT pg_get_viewdef('second'::regclass)").fetchall()
    assert move_array_casts(first) == move_array_casts(second)
