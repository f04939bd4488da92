"""A server's error is described with all its fields, and an empty search_path is recognised."""

import pytest

from pgimport.model.row_values import show_values
from pgimport.worker.postgres.server_errors import ServerError, build_search_path_advice


def test_a_description_has_every_field_on_one_line() -> None:
    error = ServerError(
        message="insert or update violates foreign key constraint",
        sqlstate="23503",
        detail='Key (customer)=(7) is not present in "customers".',
        context="COPY orders, line 3\nSQL statement 2\nouter level",
    )
    assert show_values(error.describe()) == (
        'insert or update violates foreign key constraint; DETAIL: Key (customer)=(7) is not present in "customers".;'
        " CONTEXT: COPY orders, line 3 / SQL statement 2 (SQLSTATE 23503)"
    )


@pytest.mark.parametrize(
    ("context", "function", "schemas"),
    [
        ("PL/pgSQL function app.tax(integer) line 3 at RETURN", "app.tax(integer)", "app, public"),
        ("PL/pgSQL-Funktion app.tax(integer) Zeile 3 bei RETURN", "app.tax(integer)", "app, public"),
        ('SQL function "tax" during startup', "tax", "public"),
        ("SQL-Funktion »tax« Anweisung 1", "tax", "public"),
        (
            'PL/pgSQL function "My app"."Tax"(text,numeric) line 1 at IF',
            '"My app"."Tax"(text,numeric)',
            '"My app", public',
        ),
        ('SQL statement "SELECT rate(1)"\nPL/pgSQL function app.f() line 1 at PERFORM', "app.f()", "app, public"),
        ("PL/pgSQL function public.f() line 1 at IF\nCOPY t, line 1", "public.f()", "public"),
    ],
)
def test_a_function_without_search_path_gets_the_statement_that_cures_it(
    context: str, function: str, schemas: str
) -> None:
    for sqlstate in ("42883", "42P01", "42704"):
        advice = build_search_path_advice(ServerError(message="m", sqlstate=sqlstate, context=context))
        assert f"ALTER FUNCTION {function} SET search_path = {schemas};" in advice


@pytest.mark.parametrize(
    "error",
    [
        ServerError(message="m", sqlstate="42883"),
        ServerError(message="m", sqlstate="23505", context="PL/pgSQL function app.tax(integer) line 3 at RETURN"),
        ServerError(message="m", sqlstate="42883", context='COPY t, line 1, column f: "tax(integer)"'),
        ServerError(message="m", sqlstate="42704", context="COPY t, Zeile 1, Spalte r: »boss«"),
        ServerError(message="m", sqlstate="42P01", context='SQL statement "SELECT rate(1)"'),
    ],
)
def test_no_other_error_gets_this_advice(error: ServerError) -> None:
    assert build_search_path_advice(error) == ""


@pytest.mark.parametrize("text", ["a", '"', '"a', "a.", "a(", '"a".'])
def test_a_long_context_needs_linear_time(text: str) -> None:
    """Seen before: a CONTEXT of 100,000 letters took minutes."""
    error = ServerError(message="m", sqlstate="42883", context=f"PL/{text * 300_000}")
    assert len(build_search_path_advice(error)) < 1000
