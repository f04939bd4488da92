"""Creates the extensions of the source in an empty shadow.

The only reliable test is CREATE EXTENSION: managed servers use hooks, so their catalogs do not show what the admin may
create.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from pgimport.model.errors import Refused
from pgimport.model.owner_comment import RefusedExtension
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import SourceExtension
from pgimport.server.connection import Connection, read_query
from pgimport.server.extension_rights import grant_extension_rights, take_schemas

PREINSTALLED_EXTENSION = "plpgsql"


@dataclass(frozen=True, slots=True)
class _AvailableExtension:
    """The default version of an extension at the target server."""

    name: str
    version: str
    fixed_schema: str | None  # set by the control file; CREATE EXTENSION … SCHEMA is then an error
    requires: list[str]


@dataclass(frozen=True, slots=True)
class CreatedExtensions:
    """Which extensions of the source the shadow does not have, and notes for the user."""

    refused: list[RefusedExtension] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)  # about required extensions: they end the attempt


def create_extensions(
    connection: Connection, extensions: Iterable[SourceExtension], allowed: Collection[str], owner: str
) -> CreatedExtensions:
    """Creates each allowed extension in this server's version and in the schema that it has at the source, and grants
    its use.

    Extensions that the template of the database contained stay as they are. May be repeated while the database
    contains nothing else. Raises Refused (ExtensionNotAllowed) if required extensions cannot be created, or exist in
    another schema than at the source. Its message names each of them.
    """
    requested = {extension.name: extension for extension in extensions if extension.name != PREINSTALLED_EXTENSION}
    created = CreatedExtensions()
    present = {name for name, *_ in _read_installed(connection)}
    available = _sort_by_requirements(connection, requested)
    for name in sorted(requested.keys() - present - {extension.name for extension in available}):
        _refuse(created, requested[name], f"the target server does not have the extension {name}", None)
    for extension in available:
        source = requested[extension.name]
        if extension.name in present:
            continue
        if extension.name not in allowed:
            _refuse(created, source, f"the Project does not allow the extension {extension.name}", None)
            continue
        try:
            with connection.transaction():
                _create_extension(connection, extension, source)
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            _refuse(created, source, _describe_error(source, error), error.sqlstate)
    installed = _read_installed(connection)
    created.notes.extend(_compare_with_source(installed, requested, created))
    if created.failures:
        raise Refused(Failure(Reason.EXTENSION_NOT_ALLOWED, "; ".join(created.failures)))
    own_schemas = [schema for *_, schema, is_own in installed if is_own and schema != "public"]
    # Rights first: afterwards, the schemas belong to another role.
    created.notes.extend(grant_extension_rights(connection, owner))
    take_schemas(connection, sorted({name for name in own_schemas if not name.startswith("pg_")}), owner)
    return created


def _create_extension(connection: Connection, extension: _AvailableExtension, source: SourceExtension) -> None:
    statement = sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(extension.name))
    if extension.fixed_schema is None:
        schema = source.schema_name or "public"
        if schema != "public" and not schema.startswith("pg_"):
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        statement += sql.SQL(" SCHEMA {}").format(sql.Identifier(schema))
    connection.execute(statement)


def _read_installed(connection: Connection) -> list[tuple[str, str, str, bool]]:
    """Returns name, version and schema of each extension, and whether the admin owns the schema."""
    return [(row[0], row[1], row[2], row[3]) for row in connection.execute(read_query("installed_extensions"))]


def _sort_by_requirements(connection: Connection, requested: dict[str, SourceExtension]) -> list[_AvailableExtension]:
    rows = connection.execute(read_query("extension_versions"), {"names": sorted(requested)}).fetchall()
    waiting = {row[0]: _AvailableExtension(*row) for row in rows}
    ordered: list[_AvailableExtension] = []
    while waiting:
        ready = [extension for extension in waiting.values() if not waiting.keys() & set(extension.requires)]
        for extension in ready or list(waiting.values()):  # PostgreSQL refuses extensions that require each other
            ordered.append(waiting.pop(extension.name))
    return ordered


def _refuse(created: CreatedExtensions, source: SourceExtension, message: str, sqlstate: str | None) -> None:
    """Records an extension that the import can do without, or the failure of a required one."""
    if source.required:
        created.failures.append(message)
    else:
        created.refused.append(RefusedExtension(name=source.name, message=message, sqlstate=sqlstate))


def _describe_error(source: SourceExtension, error: psycopg.Error) -> str:
    """Returns the server's message with DETAIL and HINT: the platform's admin needs it to install the extension in a
    template.
    """
    detail = f" {error.diag.message_detail}" if error.diag.message_detail else ""
    hint = f" {error.diag.message_hint}" if error.diag.message_hint else ""
    text = f"{error.diag.message_primary} ({error.sqlstate}).{detail}{hint}".rstrip(".")
    return f"the target server refuses to create the extension {source.name}: {text}"


def _compare_with_source(
    installed: list[tuple[str, str, str, bool]], requested: dict[str, SourceExtension], created: CreatedExtensions
) -> list[str]:
    """Returns notes about other versions, and records extensions that are in another schema."""
    notes = []
    for name, version, schema, _ in installed:
        source = requested.get(name)
        if source is None:
            continue
        if source.schema_name not in (None, schema):
            _refuse(
                created,
                source,
                f"the extension {name} is in schema {source.schema_name} at the source, but in schema {schema} in the"
                " target. If it comes from a database of the Project's spec.server.templates, its admin can move it"
                f" there with ALTER EXTENSION {name} SET SCHEMA, or add another template",
                None,
            )
        if source.version and version != source.version:
            notes.append(f"extension {name}: version {source.version} at the source, version {version} in the copy")
    return notes
