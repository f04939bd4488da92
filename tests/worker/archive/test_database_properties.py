"""Encoding, locale and columns of type money, as the statements of a dump tell them."""

import pytest

from pgimport.worker.archive.database_properties import (
    DatabaseProperties,
    guess_properties,
    parse_create_database,
)
from pgimport.worker.archive.money_columns import MoneyColumns
from pgimport.worker.archive.windows_locales import is_windows_locale, translate_windows_locale

CREATE = "CREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = "
STATEMENTS = {
    "one locale": (f"{CREATE}'UTF8' LOCALE_PROVIDER = libc LOCALE = 'de_DE.UTF-8';", ("de_DE.UTF-8", "de_DE.UTF-8")),
    "two locales": (f"{CREATE}'UTF8' LC_COLLATE = 'C' LC_CTYPE = 'de_DE.UTF-8';", ("C", "de_DE.UTF-8")),
    "a quote in the name": (
        "CREATE DATABASE \"it's ENCODING = 'LATIN1'\" WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE = 'C';",
        ("C", "C"),
    ),
    "a Windows locale": (f"{CREATE}'UTF8' LOCALE = 'English_United States.1252';", ("en_US.UTF-8", "en_US.UTF-8")),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_statement_tells_encoding_and_locale_whatever_the_clients_encoding_is(name: str) -> None:
    statement, locales = STATEMENTS[name]
    properties = parse_create_database(statement, "LATIN1")
    assert (properties.encoding, properties.locale_known) == ("UTF8", True)
    assert (properties.collate, properties.ctype) == locales


def test_the_locale_of_a_provider_is_read() -> None:
    icu = parse_create_database(
        f"{CREATE}'UTF8' LOCALE_PROVIDER = icu LOCALE = 'English_United States.1252' ICU_LOCALE = 'de-DE';", "UTF8"
    )
    assert (icu.locale_provider, icu.locale, icu.collate, icu.locale_known) == ("i", "de-DE", "en_US.UTF-8", True)
    builtin = parse_create_database(f"{CREATE}'UTF8' LOCALE_PROVIDER = builtin LOCALE = 'C.UTF-8';", "UTF8")
    assert (builtin.locale_provider, builtin.locale, builtin.windows_locales) == ("b", "C.UTF-8", ())


@pytest.mark.parametrize("client_encoding", ["UTF8", "LATIN1", "SJIS", "GBK", "BIG5", "WIN1252", "EUC_JP"])
def test_without_the_statement_the_copy_is_utf8_and_its_locale_unknown(client_encoding: str) -> None:
    assert guess_properties(client_encoding) == DatabaseProperties(encoding="UTF8", locale_known=False)


@pytest.mark.parametrize("client_encoding", ["SQL_ASCII", "MULE_INTERNAL"])
def test_an_encoding_that_no_server_converts_is_kept(client_encoding: str) -> None:
    assert guess_properties(client_encoding).encoding == client_encoding


def test_an_unknown_windows_locale_is_named() -> None:
    properties = parse_create_database(f"{CREATE}'UTF8' LOCALE = 'Klingon_Kronos.1252';", "UTF8")
    assert (properties.locale_known, properties.windows_locales) == (False, ("Klingon_Kronos.1252",))


WINDOWS = {
    "German_Germany.1252": "de_DE.UTF-8",
    "English_United States.1252": "en_US.UTF-8",
    "English_United States.utf8": "en_US.UTF-8",
    "Chinese (Simplified)_People's Republic of China.936": "zh_CN.UTF-8",
    "Norwegian Bokmål_Norway.1252": "nb_NO.UTF-8",
    "Portuguese_Brazil.1252": "pt_BR.UTF-8",
    "de-DE": "de_DE.UTF-8",
    "zh-Hans-CN": "zh_CN.UTF-8",
}


@pytest.mark.parametrize("name", WINDOWS)
def test_a_windows_locale_is_translated(name: str) -> None:
    assert is_windows_locale(name)
    assert translate_windows_locale(name, "UTF8") == WINDOWS[name]


def test_a_translated_locale_has_the_databases_encoding() -> None:
    assert translate_windows_locale("German_Germany.1252", "WIN1252") == "de_DE.CP1252"
    assert translate_windows_locale("German_Germany.28605", "LATIN9") == "de_DE.ISO-8859-15"


@pytest.mark.parametrize(
    "name",
    ["C", "POSIX", "C.UTF-8", "en_US", "en_US.UTF-8", "de_DE@euro", "sr_RS.utf8@latin", "ucs_basic", "pg_c_utf8"],
)
def test_a_locale_of_other_systems_is_none_of_windows(name: str) -> None:
    assert not is_windows_locale(name)


DEFINITIONS = (
    "CREATE DOMAIN public.price AS money NOT NULL;",
    "CREATE DOMAIN public.discount AS public.price;",
    "CREATE TYPE public.pair AS (\n\ta integer,\n\tb public.price[]\n);",
    "CREATE TABLE public.orders (\n    id integer NOT NULL,\n    a money DEFAULT '1'::money,\n"
    "    money numeric(10,2),\n"
    '    b public.pair,\n    c money[],\n    "X, y" money,\n    d public.discount,\n'
    "    CONSTRAINT money CHECK ((a > '0'::money))\n)\nPARTITION BY RANGE (id);",
    "CREATE UNLOGGED TABLE logs (a money);",
    "CREATE TABLE public.others (a money.kind, b text, CHECK (b <> 'money'));",
    "CREATE VIEW public.v AS SELECT (1)::money AS m;",
)


def test_columns_of_type_money_are_found_in_tables_domains_and_types() -> None:
    columns = MoneyColumns()
    for definition in DEFINITIONS:
        columns.add(definition)
    names = ["a", "b", "c", "X, y", "d"]
    assert columns.names == [*(f"public.orders.{name}" for name in names), "logs.a"]
