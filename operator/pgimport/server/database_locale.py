"""Creates a database with the encoding and locale of the source, or with the nearest that the server has."""

from dataclasses import dataclass

from psycopg import errors as postgres
from psycopg import sql

from pgimport.model.result import SourceInfo
from pgimport.server.connection import Connection, read_query

LIBC, ICU, BUILTIN = "c", "i", "b"

# Errors of CREATE DATABASE for a locale or provider that the server does not have.
_UNKNOWN_LOCALE = (
    postgres.WrongObjectType,
    postgres.FeatureNotSupported,
    postgres.InvalidParameterValue,
    postgres.InvalidObjectDefinition,
    postgres.SyntaxError,  # BUILTIN_LOCALE before PostgreSQL 17
)


@dataclass(frozen=True, slots=True)
class DatabaseLocale:
    """Encoding and locale of a database, as in pg_database."""

    encoding: str
    collate: str
    ctype: str
    provider: str
    locale: str | None

    def __str__(self) -> str:
        if self.provider != LIBC:
            return f"{self.locale} ({'ICU' if self.provider == ICU else 'builtin'})"
        return self.collate if self.collate == self.ctype else f"{self.collate}/{self.ctype}"


def _choices(source: SourceInfo) -> list[DatabaseLocale]:
    exact = DatabaseLocale(source.encoding, source.collate, source.ctype, source.locale_provider, source.locale)
    choices = [exact]
    if exact.provider != LIBC:  # libc's locale has no effect, and may not exist at this server
        choices.append(DatabaseLocale(exact.encoding, "C", "C", exact.provider, exact.locale))
    if exact.encoding == "UTF8":
        choices.append(DatabaseLocale(exact.encoding, "C.UTF-8", "C.UTF-8", LIBC, None))
    choices.append(DatabaseLocale(exact.encoding, "C", "C", LIBC, None))
    return list(dict.fromkeys(choices))


def _clauses(locale: DatabaseLocale) -> sql.Composable:
    parts: list[sql.Composable] = [
        sql.SQL("ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(
            sql.Literal(locale.encoding), sql.Literal(locale.collate), sql.Literal(locale.ctype)
        )
    ]
    if locale.provider == ICU:
        parts.append(sql.SQL("LOCALE_PROVIDER icu ICU_LOCALE {}").format(sql.Literal(locale.locale)))
    elif locale.provider == BUILTIN:
        parts.append(sql.SQL("LOCALE_PROVIDER builtin BUILTIN_LOCALE {}").format(sql.Literal(locale.locale)))
    else:
        parts.append(sql.SQL("LOCALE_PROVIDER libc"))
    return sql.SQL(" ").join(parts)


def create_like_source(connection: Connection, database: str, source: SourceInfo) -> None:
    """Creates the database with the locale of the source, or with the first fallback that the server accepts."""
    *preferred, last = _choices(source)
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ").format(sql.Identifier(database))
    for choice in preferred:
        try:
            connection.execute(statement + _clauses(choice))
        except _UNKNOWN_LOCALE:
            continue
        return
    connection.execute(statement + _clauses(last))


def describe_fallback(connection: Connection, database: str, source: SourceInfo) -> list[str]:
    """Returns a note for the user if the database has another locale than its source."""
    row = connection.execute(read_query("database_locale"), {"database": database}).fetchone()
    requested = _choices(source)[0]
    if row is None or (actual := DatabaseLocale(*row)) == requested:
        return []
    if actual.provider == requested.provider != LIBC and actual.locale == requested.locale:
        return []  # only libc's locale differs, which has no effect
    return [
        f"the target server does not have the source's locale {requested}: the copy has {actual},"
        " so text may be sorted differently"
    ]
