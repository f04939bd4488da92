"""Extensions of a shadow while it is still empty: the source's list in, notes for a person out."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from psycopg import errors as postgres
from psycopg import sql

from pgimport.model.errors import ServerUnavailable
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import SourceExtension
from pgimport.server.connection import Connection, read_query

ALWAYS_THERE = "plpgsql"


@dataclass(frozen=True, slots=True)
class _Available:
    """What this server would install."""

    name: str
    version: str
    fixed_schema: str | None  # its control file names it: SCHEMA is not to be given
    requires: list[str]


def create_extensions(inside: Connection, wanted: Iterable[SourceExtension], owner: str) -> list[str]:
    """Each at this server's version, in the source's schema; may be repeated while nothing else is in the database.

    Raises ServerUnavailable (ExtensionNotAllowed) where the server does not have one.
    """
    asked = {one.name: one for one in wanted if one.name != ALWAYS_THERE}
    if not asked:
        return []
    notes, schemas = [], []
    for available in _in_order(inside, asked):
        source = asked[available.name]
        statement = sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(available.name))
        if available.fixed_schema is None:
            schema = source.schema_name or "public"
            if schema != "public" and not schema.startswith("pg_"):
                inside.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
                schemas.append(schema)
            statement += sql.SQL(" SCHEMA {}").format(sql.Identifier(schema))
        inside.execute(statement)
        if available.fixed_schema not in (None, "pg_catalog"):
            _grant(inside, "GRANT USAGE ON SCHEMA {} TO {}", (available.fixed_schema,), owner)
        if available.version != source.version:
            notes.append(f"extension {source.name}: {source.version} at the source, {available.version} in the copy")
    notes += _open_configuration(inside, owner)
    for schema in dict.fromkeys(schemas):
        inside.execute(sql.SQL("ALTER SCHEMA {} OWNER TO {}").format(sql.Identifier(schema), sql.Identifier(owner)))
    return notes


def _in_order(inside: Connection, asked: dict[str, SourceExtension]) -> list[_Available]:
    rows = inside.execute(read_query("extension_versions"), {"names": sorted(asked)}).fetchall()
    waiting = {row[0]: _Available(*row) for row in rows}
    if missing := sorted(asked.keys() - waiting.keys()):
        raise ServerUnavailable(
            Failure(Reason.EXTENSION_NOT_ALLOWED, f"the target server does not have the extension {', '.join(missing)}")
        )
    ordered: list[_Available] = []
    while waiting:
        ready = [one for one in waiting.values() if not waiting.keys() & set(one.requires)]
        for one in ready or list(waiting.values()):  # a circle cannot be: the server itself would refuse it
            ordered.append(waiting.pop(one.name))
    return ordered


def _open_configuration(inside: Connection, owner: str) -> list[str]:
    """The rows that users keep in an extension's tables belong to the data: the copy's role must bring them."""
    notes = []
    for kind, schema, name in inside.execute(read_query("extension_configuration_tables")).fetchall():
        right = "GRANT USAGE, UPDATE ON SEQUENCE {} TO {}" if kind == "S" else "GRANT INSERT ON TABLE {} TO {}"
        if not _grant(inside, right, (schema, name), owner):
            notes.append(f"rows that users added to {schema}.{name} cannot be brought: a superuser owns the table")
    return notes


def _grant(inside: Connection, statement: str, name: tuple[str | None, ...], owner: str) -> bool:
    """False where the admin may not: a trusted extension's objects belong to the server's first superuser."""
    composed = sql.SQL(statement).format(sql.Identifier(*[part for part in name if part]), sql.Identifier(owner))
    with suppress(postgres.InsufficientPrivilege):
        inside.execute(composed)
        return True
    return False
