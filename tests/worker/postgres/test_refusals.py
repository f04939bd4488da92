"""Which errors are refusals, and what a user reads about them."""

import psycopg
import pytest
from tests.support.postgres import PostgresServer

from pgimport.model.row_values import show_values
from pgimport.worker.postgres.refusals import Refusal, build_refusal, is_refusal


@pytest.mark.parametrize(
    "sqlstate",
    [
        "42501", "42883", "42P01", "42P17", "0A000", "22P02", "23503", "23505", "23514", "23P01", "2BP01", "3F000",
        "55000", "55006", "54000", "P0001", "38001", "39P01", "2F003", "XX000", "F0000", "58P01", "TS001",
    ],
)  # fmt: skip
def test_a_lasting_error_is_a_refusal(sqlstate: str) -> None:
    assert is_refusal(sqlstate)


@pytest.mark.parametrize(
    "sqlstate",
    [
        None, "08006", "28P01", "3D000", "40001", "40P01", "53100", "53200", "53300", "57014", "57P01", "58030",
        "25006", "25P02", "55P03",
    ],
)  # fmt: skip
def test_a_passing_error_is_no_refusal(sqlstate: str | None) -> None:
    assert not is_refusal(sqlstate)


def test_the_reason_is_one_line_with_all_words_of_the_server() -> None:
    refusal = Refusal(
        sqlstate="42883",
        message="function f(integer) does not exist",
        detail="There is no\nfunction of that name.",
        hint="Add casts.",
        context="SQL function g",
    )
    assert show_values(refusal.reason) == (
        "function f(integer) does not exist (SQLSTATE 42883); DETAIL: There is no function of that name.;"
        " HINT: Add casts.; CONTEXT: SQL function g"
    )


@pytest.mark.parametrize(
    ("detail", "key"),
    [
        ("Key (a)=(7) is duplicated.", "(a)=(7)"),
        ("Schlüssel (a, b)=(7, x) ist nicht in Tabelle »t« vorhanden.", "(a, b)=(7, x)"),
        ("Key (lower(a))=(a)) is duplicated.", "(lower(a))=(a))"),
        ("", None),
    ],
)
def test_the_key_of_a_violation_is_found_in_every_language(detail: str, key: str | None) -> None:
    refusal = Refusal(sqlstate="23505", message="duplicate", detail=detail)
    assert refusal.key == key
    assert "7" not in refusal.reason


def test_a_real_error_has_all_its_fields(postgres18: PostgresServer) -> None:
    with postgres18.connect() as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute("DO $$ BEGIN RAISE 'no' USING DETAIL = 'why', HINT = 'do', ERRCODE = '0A000'; END $$")
    refusal = build_refusal(caught.value)
    assert refusal is not None
    assert (refusal.sqlstate, refusal.message, refusal.detail, refusal.hint) == ("0A000", "no", "why", "do")
    assert "PL/pgSQL" in refusal.context


@pytest.mark.parametrize("detail", ["(" * 1_000_000, "Key (a)=" * 100_000])
def test_a_long_detail_without_a_key_needs_linear_time(detail: str) -> None:
    """Seen before: a DETAIL of 100,000 parentheses took minutes."""
    assert Refusal(sqlstate="23505", message="m", detail=detail).key is None
