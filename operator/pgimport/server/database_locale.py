"""The shadow's encoding and locale: the source's facts in, the ways to make such a database out, best first."""

from dataclasses import dataclass

from psycopg import errors as postgres
from psycopg import sql

from pgimport.model.result import SourceInfo
from pgimport.server.connection import Connection, read_query

LIBC, ICU, BUILTIN = "c", "i", "b"

# What CREATE DATABASE says of a locale or provider that this server does not have.
_NOT_HERE = (
    postgres.WrongObjectType,
    postgres.FeatureNotSupported,
    postgres.InvalidParameterValue,
    postgres.InvalidObjectDefinition,
    postgres.SyntaxError,  # BUILTIN_LOCALE before 17
)


@dataclass(frozen=True, slots=True)
class DatabaseLocale:
    """As `pg_database` has it."""

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
    if exact.provider != LIBC:  # its own locale decides; libc's names may be unknown here
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
    """CREATE DATABASE as the source is, else as near to it as this server can."""
    *better, last = _choices(source)
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ").format(sql.Identifier(database))
    for choice in better:
        try:
            connection.execute(statement + _clauses(choice))
        except _NOT_HERE:
            continue
        return
    connection.execute(statement + _clauses(last))


def describe_fallback(connection: Connection, database: str, source: SourceInfo) -> list[str]:
    """A note where the database could not be made like its source; also after a crash."""
    row = connection.execute(read_query("database_locale"), {"database": database}).fetchone()
    wanted = _choices(source)[0]
    if row is None or (made := DatabaseLocale(*row)) == wanted:
        return []
    if made.provider == wanted.provider != LIBC and made.locale == wanted.locale:
        return []  # only libc's names differ, which decide nothing here
    return [
        f"the source's locale {wanted} is not on the target server: the copy has {made},"
        " so text may be sorted differently"
    ]
