"""Amounts of `money` stay the same between servers of different locales."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.locales import compiled_locales
from tests.support.postgres import PostgresServer, packaged_programs, run_postgres
from tests.worker.conftest import Bench

from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.text_settings import describe_file_money, find_monetary_locale, read_text_settings

LOCALES = ("es_AR.UTF-8", "ja_JP.UTF-8", "de_DE.UTF-8")
AMOUNTS = """
CREATE DOMAIN price AS money CHECK (VALUE > '-1'::money);
CREATE TABLE amounts (id int, amount money DEFAULT 9.5::numeric::money, prices price[],
  CHECK (amount < 5000::numeric::money));
INSERT INTO amounts SELECT n, v::numeric::money, ARRAY[v::numeric::money, NULL]
  FROM (VALUES (1, 12.34), (2, 999.99), (3, 1234.5), (4, -0.01)) AS x (n, v);
"""
STORED = "SELECT id, cash_send(amount), cash_send(prices[1]) FROM amounts ORDER BY id"


@pytest.fixture(scope="module")
def locales() -> Iterator[Path]:
    with compiled_locales(*LOCALES, "en_US.UTF-8") as folder:
        yield folder


@pytest.fixture(scope="module")
def source(locales: Path) -> Iterator[PostgresServer]:
    with run_postgres(16, packaged_programs(16, locales)) as server:
        yield server


@pytest.fixture(scope="module")
def american_target(locales: Path) -> Iterator[PostgresServer]:
    with run_postgres(18, packaged_programs(18, locales), lc_monetary="en_US.UTF-8") as server:
        yield server


@pytest.mark.parametrize("engine", ["relay", "dump"])
@pytest.mark.parametrize("locale", LOCALES)
def test_money_is_equal_after_a_live_import(
    bench: Bench, source: PostgresServer, american_target: PostgresServer, engine: str, locale: str
) -> None:
    bench.target = american_target
    with source.database("money") as name:
        source.execute(f"ALTER DATABASE {name} SET lc_monetary = '{locale}'")
        source.execute(AMOUNTS, name)
        bench.source_url = source.url(name)
        with bench.shadow() as shadow:
            result = bench.run(engine=engine, verify="checksums")
            assert result.ok, result.failure
            assert american_target.query(STORED, shadow) == source.query(STORED, name)
            american_target.execute("INSERT INTO amounts (id) VALUES (5)", shadow)
            default = "SELECT cash_send(amount) FROM amounts WHERE id = 5"
            copied_default = american_target.query(default, shadow)
        source.execute("INSERT INTO amounts (id) VALUES (5)", name)
        assert locale == "ja_JP.UTF-8" or copied_default == source.query(default, name)
    assert result.verification is not None
    assert [note for note in result.verification.notes if "decimals" in note] == []


def test_a_target_without_the_locale_of_money_is_noted(bench: Bench, source: PostgresServer) -> None:
    with source.database("yen") as name:
        source.execute(f"ALTER DATABASE {name} SET lc_monetary = 'ja_JP.UTF-8'")
        source.execute(AMOUNTS, name)
        bench.source_url = source.url(name)
        with bench.shadow() as shadow:
            result = bench.run()
            assert result.ok, result.failure
            assert bench.target.query(STORED, shadow) == source.query(STORED, name)
    assert result.verification is not None
    assert [note for note in result.verification.notes if "decimals" in note] == [
        "the target server lacks the source's lc_monetary ja_JP.UTF-8, so amounts have 2 decimals instead of 0:"
        " public.amounts.amount, public.amounts.prices; install that locale on the target server, and run ALTER"
        " DATABASE … SET lc_monetary = 'ja_JP.UTF-8' on the preview"
    ]


def test_the_locale_of_money_is_a_setting_of_the_database(american_target: PostgresServer) -> None:
    """The server's own lc_monetary says how many decimals an amount has, so it comes along like a stored setting."""
    query = read_query("scope/database_settings").decode()
    with american_target.database("stored") as name:
        assert american_target.query(query, name) == []
        american_target.execute("CREATE TABLE t (amount money)", name)
        assert american_target.query(query, name) == [("database", "lc_monetary=en_US.UTF-8")]
        american_target.execute(f"ALTER DATABASE {name} SET lc_monetary = 'ja_JP.UTF-8'")
        stored = american_target.query(query, name)
    assert stored[-1] == ("database", "lc_monetary=ja_JP.UTF-8")


@pytest.mark.parametrize("locale", ["C", "de_DE.UTF-8"])
def test_money_of_a_dump_file_is_read_in_the_locale_of_its_database(
    american_target: PostgresServer, locale: str
) -> None:
    with american_target.connect() as connection:
        connection.execute(f"CREATE DATABASE located TEMPLATE template0 LC_CTYPE '{locale}'".encode())
    try:
        with american_target.connect("located") as connection:
            assert find_monetary_locale(connection) == locale
            connection.execute("CREATE TABLE t (amount money)")
            notes = describe_file_money(read_text_settings(connection), locale)
    finally:
        american_target.execute("DROP DATABASE located")
    assert notes == [
        f"money was read as text of the locale {locale}, because a dump file does not tell its lc_monetary:"
        " public.t.amount; compare some amounts with the source"
    ]
