"""Creates a database with a wanted encoding and locale, from a template that has them, or with the nearest locale."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import psycopg
from psycopg import errors as postgres
from psycopg import sql

from pgimport.model.errors import Refused
from pgimport.model.import_choices import LocaleProvider
from pgimport.model.import_spec import TargetLocale
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import SourceInfo
from pgimport.server.connection import Connect, Connection, read_query
from pgimport.server.disconnection import disconnecting
from pgimport.server.prepared_transactions import read_prepared_transactions, roll_back_prepared
from pgimport.server.server_access import Access
from pgimport.server.sessions import read_sessions

LIBC, ICU, BUILTIN = "c", "i", "b"
_PROVIDERS = {LocaleProvider.LIBC: LIBC, LocaleProvider.ICU: ICU, LocaleProvider.BUILTIN: BUILTIN}
DEFAULT_TEMPLATE = "template0"

# Errors of CREATE DATABASE for a locale or provider that the server does not have.
_UNKNOWN_LOCALE = (
    postgres.WrongObjectType,
    postgres.FeatureNotSupported,
    postgres.InvalidParameterValue,
    postgres.InvalidObjectDefinition,
    postgres.SyntaxError,  # BUILTIN_LOCALE before PostgreSQL 17, ICU_RULES before 16
)


@dataclass(frozen=True, slots=True)
class DatabaseLocale:
    """Encoding and locale of a database, as in pg_database."""

    encoding: str
    collate: str
    ctype: str
    provider: str
    locale: str | None
    rules: str | None = None

    def __str__(self) -> str:
        if self.provider != LIBC:
            return f"{self.locale} ({'ICU' if self.provider == ICU else 'builtin'})"
        return self.collate if self.collate == self.ctype else f"{self.collate}/{self.ctype}"

    def is_same(self, other: "DatabaseLocale") -> bool:
        """Says whether both have the same effect.

        The libc locale has no effect in a database with another locale provider.
        """
        if self.provider == other.provider != LIBC:
            return (self.encoding, self.locale, self.rules) == (other.encoding, other.locale, other.rules)
        return self == other


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedDatabase:
    """The properties that a new database should have. Without a source, it gets the server's default locale."""

    encoding: str = "UTF8"
    source_locale: DatabaseLocale | None = None  # None if it is unknown
    chosen_locale: TargetLocale | None = None  # by the user, instead of the source's
    templates: Sequence[str] = ()  # databases to copy instead of template0, if one has the wanted locale


def build_wanted_database(
    source: SourceInfo, chosen_locale: TargetLocale | None = None, templates: Sequence[str] = ()
) -> WantedDatabase:
    """Builds the properties of the copy of a source. Pure."""
    locale = DatabaseLocale(source.encoding, source.collate, source.ctype, source.locale_provider, source.locale)
    return WantedDatabase(
        encoding=source.encoding,
        source_locale=locale if source.locale_known else None,
        chosen_locale=chosen_locale,
        templates=templates,
    )


def create_database(
    connection: Connection,
    access: Access,
    name: str,
    wanted: WantedDatabase,
    owner: str | None = None,
    *,
    connect: Connect,
) -> None:
    """Creates the database with the wanted locale, or with the first fallback that the server accepts.

    Copies the first template with this encoding and locale, else template0: PostgreSQL allows another encoding or
    locale only with template0. Raises Refused if the server does not have the locale that the user chose.
    """
    choices = _list_choices(connection, wanted)
    templates = _read_templates(connection, wanted.templates)
    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if owner is not None:
        statement += sql.SQL(" OWNER {}").format(sql.Identifier(owner))
    for index, choice in enumerate(choices):
        template = next((name for name, locale in templates if locale.is_same(choice)), None)
        if template is not None:
            with _vacating(connection, access, template, connect):
                connection.execute(statement + sql.SQL(" TEMPLATE {}").format(sql.Identifier(template)))
            return
        try:
            connection.execute(
                statement + sql.SQL(" TEMPLATE {} ").format(sql.Identifier(DEFAULT_TEMPLATE)) + _build_clauses(choice)
            )
        except _UNKNOWN_LOCALE as error:
            if wanted.chosen_locale is not None:
                raise Refused(_describe_refusal(choice, error)) from error
            if index == len(choices) - 1:
                raise
        else:
            return


def _vacating(connection: Connection, access: Access, template: str, connect: Connect) -> AbstractContextManager[None]:
    """Ends what keeps a template from being copied: sessions and prepared transactions of other roles than the admin.

    PUBLIC may connect to a new database. So each tenant can enter a template that allows connections.
    """
    roll_back_prepared(access, read_prepared_transactions(connection, [template]), connect)
    if not read_sessions(connection, databases=[template]):
        return nullcontext()
    return disconnecting(access, template, connect, keeps_admin=True)


def describe_fallback(connection: Connection, database: str, wanted: WantedDatabase) -> list[str]:
    """Returns notes for the user if the database has another locale than its source, or a guessed one."""
    actual = _read_locale(connection, database)
    if actual is None or wanted.chosen_locale is not None:
        return []
    if wanted.source_locale is None:
        return [
            f"the dump file does not contain the locale of its source: the copy has {actual}, so text may be sorted"
            " differently and lower() and upper() may give other results. To choose the locale, set spec.target.locale"
        ]
    if actual.is_same(wanted.source_locale):
        return []
    return [
        f"the target server does not have the source's locale {wanted.source_locale}: the copy has {actual},"
        " so text may be sorted differently"
    ]


def _list_choices(connection: Connection, wanted: WantedDatabase) -> list[DatabaseLocale]:
    default = _read_locale(connection, DEFAULT_TEMPLATE)
    assert default is not None  # noqa: S101 (every server has template0)
    if wanted.chosen_locale is not None:
        return [_resolve_choice(wanted.encoding, wanted.chosen_locale, default)]
    exact = wanted.source_locale or replace(default, encoding=wanted.encoding)
    choices = [exact]
    if exact.provider != LIBC:  # libc's locale has no effect, and may not exist at this server
        choices.append(replace(exact, collate="C", ctype="C"))
    if exact.encoding == "UTF8":
        choices.append(DatabaseLocale(exact.encoding, "C.UTF-8", "C.UTF-8", LIBC, None))
    choices.append(DatabaseLocale(exact.encoding, "C", "C", LIBC, None))
    return list(dict.fromkeys(choices))


def _resolve_choice(encoding: str, chosen: TargetLocale, default: DatabaseLocale) -> DatabaseLocale:
    """Completes the user's choice by the locale of template0. Pure."""
    return DatabaseLocale(
        encoding,
        chosen.lc_collate or default.collate,
        chosen.lc_ctype or default.ctype,
        _PROVIDERS[chosen.provider],
        chosen.icu_locale or chosen.builtin_locale,
        chosen.icu_rules,
    )


def _build_clauses(locale: DatabaseLocale) -> sql.Composable:
    parts: list[sql.Composable] = [
        sql.SQL("ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(
            sql.Literal(locale.encoding), sql.Literal(locale.collate), sql.Literal(locale.ctype)
        )
    ]
    if locale.provider == ICU:
        parts.append(sql.SQL("LOCALE_PROVIDER icu ICU_LOCALE {}").format(sql.Literal(locale.locale)))
        if locale.rules is not None:
            parts.append(sql.SQL("ICU_RULES {}").format(sql.Literal(locale.rules)))
    elif locale.provider == BUILTIN:
        parts.append(sql.SQL("LOCALE_PROVIDER builtin BUILTIN_LOCALE {}").format(sql.Literal(locale.locale)))
    else:
        parts.append(sql.SQL("LOCALE_PROVIDER libc"))
    return sql.SQL(" ").join(parts)


def _read_locale(connection: Connection, database: str) -> DatabaseLocale | None:
    row = connection.execute(read_query("database_locale"), {"database": database}).fetchone()
    return None if row is None else DatabaseLocale(*row[:6])


def _read_templates(connection: Connection, names: Sequence[str]) -> list[tuple[str, DatabaseLocale]]:
    """Returns those of the databases that this role may copy, in the order of `names`, with their locale."""
    templates = []
    for name in names:
        row = connection.execute(read_query("database_locale"), {"database": name}).fetchone()
        if row is not None and row[6]:
            templates.append((name, DatabaseLocale(*row[:6])))
    return templates


def _describe_refusal(locale: DatabaseLocale, error: psycopg.Error) -> Failure:
    return Failure(
        Reason.INVALID_SPEC,
        f"spec.target.locale: the target server cannot create a database with encoding {locale.encoding} and locale"
        f" {locale}: {error.diag.message_primary} ({error.sqlstate})",
    )
