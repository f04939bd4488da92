"""Creates the extensions of the source in an empty shadow."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from psycopg import errors as postgres
from psycopg import sql

from pgimport.model.errors import ServerUnavailable
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import SourceExtension
from pgimport.server.connection import Connection, read_query

PREINSTALLED_EXTENSION = "plpgsql"


@dataclass(frozen=True, slots=True)
class _AvailableExtension:
    """The default version of an extension at the target server."""

    name: str
    version: str
    fixed_schema: str | None  # set by the control file; CREATE EXTENSION … SCHEMA is then an error
    requires: list[str]


def create_extensions(connection: Connection, extensions: Iterable[SourceExtension], owner: str) -> list[str]:
    """Creates each extension at this server's version in the schema of the source; returns notes for the user.

    May be repeated while the database contains nothing else. Raises ServerUnavailable (ExtensionNotAllowed) if the
    server does not have an extension.
    """
    requested = {extension.name: extension for extension in extensions if extension.name != PREINSTALLED_EXTENSION}
    if not requested:
        return []
    notes, schemas = [], []
    for available in _sort_by_requirements(connection, requested):
        source = requested[available.name]
        statement = sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(available.name))
        if available.fixed_schema is None:
            schema = source.schema_name or "public"
            if schema != "public" and not schema.startswith("pg_"):
                connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
                schemas.append(schema)
            statement += sql.SQL(" SCHEMA {}").format(sql.Identifier(schema))
        connection.execute(statement)
        if available.fixed_schema not in (None, "pg_catalog"):
            _grant(connection, "GRANT USAGE ON SCHEMA {} TO {}", (available.fixed_schema,), owner)
        if available.version != source.version:
            notes.append(
                f"extension {source.name}: version {source.version} at the source,"
                f" version {available.version} in the copy"
            )
    notes += _grant_configuration_tables(connection, owner)
    for schema in dict.fromkeys(schemas):
        connection.execute(sql.SQL("ALTER SCHEMA {} OWNER TO {}").format(sql.Identifier(schema), sql.Identifier(owner)))
    return notes


def _sort_by_requirements(connection: Connection, requested: dict[str, SourceExtension]) -> list[_AvailableExtension]:
    rows = connection.execute(read_query("extension_versions"), {"names": sorted(requested)}).fetchall()
    waiting = {row[0]: _AvailableExtension(*row) for row in rows}
    if missing := sorted(requested.keys() - waiting.keys()):
        raise ServerUnavailable(
            Failure(Reason.EXTENSION_NOT_ALLOWED, f"the target server does not have the extension {', '.join(missing)}")
        )
    ordered: list[_AvailableExtension] = []
    while waiting:
        ready = [extension for extension in waiting.values() if not waiting.keys() & set(extension.requires)]
        for extension in ready or list(waiting.values()):  # PostgreSQL refuses extensions that require each other
            ordered.append(waiting.pop(extension.name))
    return ordered


def _grant_configuration_tables(connection: Connection, owner: str) -> list[str]:
    """Grants INSERT on the configuration tables of the extensions, because the import copies the users' rows in them.

    https://www.postgresql.org/docs/current/extend-extensions.html#EXTEND-EXTENSIONS-CONFIG-TABLES
    """
    notes = []
    for kind, schema, name in connection.execute(read_query("extension_configuration_tables")).fetchall():
        grant = "GRANT USAGE, UPDATE ON SEQUENCE {} TO {}" if kind == "S" else "GRANT INSERT ON TABLE {} TO {}"
        if not _grant(connection, grant, (schema, name), owner):
            notes.append(f"rows that users added to {schema}.{name} cannot be copied: a superuser owns the table")
    return notes


def _grant(connection: Connection, statement: str, name: tuple[str | None, ...], owner: str) -> bool:
    """Returns False if the admin may not grant: a trusted extension's objects belong to the bootstrap superuser."""
    composed = sql.SQL(statement).format(sql.Identifier(*[part for part in name if part]), sql.Identifier(owner))
    with suppress(postgres.InsufficientPrivilege):
        connection.execute(composed)
        return True
    return False
