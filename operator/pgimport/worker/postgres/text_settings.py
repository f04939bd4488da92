"""Finds the settings that client programs of PostgreSQL do not set themselves and that change values."""

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from pgimport.worker.postgres.endpoints import Connection, Endpoint, open_connection
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.session_settings import TEXT_SETTINGS

_LOCALES_LIKE_C = ("C", "POSIX")
_DATABASE_LOCALE = "SELECT datctype FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"
NAMES_IN_A_NOTE = 5


@dataclass(frozen=True, slots=True)
class SourceTextSettings:
    """Settings of new sessions at the source that change what pg_dump writes."""

    lc_monetary: str = "C"
    standard_conforming_strings: str = "on"
    money_columns: tuple[str, ...] = ()  # schema.table.column, tables first

    @property
    def money_changes(self) -> bool:
        """True if the text of the source's money values depends on its locale."""
        return bool(self.money_columns) and self.lc_monetary not in _LOCALES_LIKE_C

    def choose_options(self) -> dict[str, str]:
        """Returns the settings that pg_dump needs. None are needed at most sources, and some poolers refuse options."""
        names = ["lc_monetary"] if self.money_changes else []
        names += ["standard_conforming_strings"] if self.standard_conforming_strings != "on" else []
        return {name: TEXT_SETTINGS[name] for name in names}


def read_text_settings(source: Connection) -> SourceTextSettings:
    """Reads the settings over a session at the source. Raises psycopg.Error."""
    row = source.execute(read_query("postgres/text_settings")).fetchone()
    return SourceTextSettings(row[0], row[1], tuple(row[2])) if row else SourceTextSettings()


def accepts_settings(endpoint: Endpoint, settings: Mapping[str, str]) -> bool:
    """Returns whether a client program gets these settings. Poolers refuse or ignore the parameter `options`."""
    try:
        with open_connection(endpoint.with_settings(settings)) as connection:
            return all(_read_setting(connection, name) == value for name, value in settings.items())
    except psycopg.Error:
        return False


def _read_setting(connection: Connection, name: str) -> str | None:
    row = connection.execute("SELECT pg_catalog.current_setting(%s)", [name]).fetchone()
    return row[0] if row else None


def find_monetary_locale(shadow: Connection) -> str:
    """Returns the locale in which the text of money in a dump file is read. Raises psycopg.Error.

    A dump file does not tell its lc_monetary. initdb gives it the same locale as the database's lc_ctype, which the
    shadow has from the file.
    """
    (locale,) = shadow.execute(_DATABASE_LOCALE).fetchone() or ("C",)
    return str(locale) if accepts_monetary_locale(shadow, str(locale)) else TEXT_SETTINGS["lc_monetary"]


def accepts_monetary_locale(connection: Connection, locale: str) -> bool:
    """Returns whether the server has this locale. Raises psycopg.Error."""
    try:
        connection.execute("SELECT pg_catalog.set_config('lc_monetary', %s, false)", [locale])
    except psycopg.errors.InvalidParameterValue:
        return False
    connection.execute("SELECT pg_catalog.set_config('lc_monetary', %s, false)", [TEXT_SETTINGS["lc_monetary"]])
    return True


def describe_file_money(settings: SourceTextSettings, locale: str) -> list[str]:
    """Returns a note if a dump file holds money, whose text depends on a setting that the file does not tell. Pure."""
    if not settings.money_columns:
        return []
    return [
        f"money was read as text of the locale {locale}, because a dump file does not tell its lc_monetary:"
        f" {_join_columns(settings)}; compare some amounts with the source"
    ]


def _join_columns(settings: SourceTextSettings) -> str:
    columns = settings.money_columns
    more = f" and {len(columns) - NAMES_IN_A_NOTE} more" if len(columns) > NAMES_IN_A_NOTE else ""
    return ", ".join(columns[:NAMES_IN_A_NOTE]) + more


def read_money_decimals(connection: Connection) -> int:
    """Returns the decimals of `money` in the locale of new sessions. Raises psycopg.Error."""
    connection.execute(
        "SELECT pg_catalog.set_config(name, reset_val, false) FROM pg_catalog.pg_settings WHERE name = 'lc_monetary'"
    )
    row = connection.execute("SELECT pg_catalog.cash_send(1::pg_catalog.numeric::pg_catalog.money)").fetchone()
    connection.execute("SELECT pg_catalog.set_config('lc_monetary', %s, false)", [TEXT_SETTINGS["lc_monetary"]])
    return len(str(int.from_bytes(row[0]))) - 1 if row else 0


def describe_money(settings: SourceTextSettings, source_decimals: int, target_decimals: int) -> list[str]:
    """Returns a note for a target without the source's locale, if it divides stored amounts in another way. Pure."""
    if source_decimals == target_decimals:
        return []
    return [
        f"the target server lacks the source's lc_monetary {settings.lc_monetary}, so amounts have {target_decimals}"
        f" decimals instead of {source_decimals}: {_join_columns(settings)}; install that locale on the target server,"
        f" and run ALTER DATABASE … SET lc_monetary = '{settings.lc_monetary}' on the preview"
    ]
