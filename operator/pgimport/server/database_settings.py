"""Writes settings of a source database to its copy, and tries them first in the shadow."""

from collections.abc import Sequence

import psycopg
from psycopg import sql

from pgimport.model.database_settings import MAX_SETTINGS, find_length_limit, is_carried
from pgimport.model.result import DatabaseSetting
from pgimport.model.row_values import hide_values, mark_message
from pgimport.server.connection import Connection

# Parameters whose stored value is a list of quoted names (GUC_LIST_QUOTE). Other values are one literal.
_LIST_PARAMETERS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)


def build_alter_clause(database: str | None, role: str | None) -> sql.Composed:
    """Builds ALTER DATABASE, ALTER ROLE, or ALTER ROLE … IN DATABASE."""
    if role is None:
        return sql.SQL("ALTER DATABASE {}").format(sql.Identifier(database or ""))
    clause = sql.SQL("ALTER ROLE {}").format(sql.Identifier(role))
    return clause if database is None else clause + sql.SQL(" IN DATABASE {}").format(sql.Identifier(database))


def build_set_statement(database: str | None, role: str | None, name: str, value: str) -> sql.Composed:
    """Builds the statement that stores a setting with the value that pg_db_role_setting contains."""
    values = parse_names(value) if name.lower() in _LIST_PARAMETERS else [value]
    # The parameter of an extension has two identifiers, such as `auto_explain.log_format`.
    return build_alter_clause(database, role) + sql.SQL(" SET {} TO {}").format(
        sql.Identifier(*name.split(".")), sql.SQL(", ").join(sql.Literal(name_in_list) for name_in_list in values)
    )


def try_settings(
    connection: Connection, database: str, settings: Sequence[DatabaseSetting]
) -> tuple[list[DatabaseSetting], list[str]]:
    """Returns the settings that this server accepts, and a note for each that it refuses.

    Ignores settings that are not in the list of `is_carried`: a worker reports them, and it is not trusted. Stores no
    setting: stored settings would also apply to the sessions of the import.
    """
    accepted: list[DatabaseSetting] = []
    notes: list[str] = []
    for setting in settings[:MAX_SETTINGS]:
        if not is_carried(setting.name) or len(setting.value.encode()) > find_length_limit(setting.name):
            continue
        try:
            with connection.transaction() as transaction:
                connection.execute(build_set_statement(database, None, setting.name, setting.value))
                raise psycopg.Rollback(transaction)
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            notes.append(
                f"setting {setting.name} of the source database: the target server refuses its value"
                f" ({hide_values(mark_message(error.diag.message_primary or '', error.sqlstate))}, {error.sqlstate})"
            )
        else:
            accepted.append(setting)
    return accepted, notes


def parse_names(value: str) -> list[str]:
    """Parses a list of names as PostgreSQL quotes them: `"$user", public` has two names, an empty value has one."""
    names: list[str] = []
    name: list[str] = []  # letters; a string that grows would take quadratic time
    quoted, position = False, 0
    while position < len(value):
        letter = value[position]
        if letter == '"' and quoted and value[position + 1 : position + 2] == '"':
            name.append('"')
            position += 1
        elif letter == '"':
            quoted = not quoted
        elif letter == "," and not quoted:
            names.append("".join(name))
            name = []
        elif quoted or not letter.isspace():
            name.append(letter)
        position += 1
    return [*names, "".join(name)]
