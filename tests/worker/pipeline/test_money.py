"""Amounts of `money` stay the same between servers of different locales."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.locales import compiled_locales
from tests.support.postgres import PostgresServer, packaged_programs, run_postgres
from tests.worker.conftest import Bench

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
    notes = [note for note in result.verification.notes if "decimals" in note]
    if locale != "ja_JP.UTF-8":
        assert notes == []
        return
    assert notes == [
        "money has 0 decimals in the source's lc_monetary ja_JP.UTF-8 and 2 in the target's: public.amounts.amount,"
        " public.amounts.prices; set lc_monetary = 'ja_JP.UTF-8' in the preview database to read the source's amounts"
    ]
