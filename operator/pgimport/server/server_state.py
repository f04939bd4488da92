"""Queries that change nothing: properties of the server, the state of a swap, sizes and objects of a database."""

from collections.abc import Iterable, Sequence

from pgimport.model.errors import ServerUnavailable
from pgimport.model.names import AttemptNames
from pgimport.model.observations import ObservedContent, ObservedServer, ObservedSwap
from pgimport.model.owner_comment import DatabasePhase, parse_shadow_record
from pgimport.model.reasons import Failure, Reason
from pgimport.server.connection import Connect, connect, read_query, session
from pgimport.server.server_access import Access
from pgimport.server.shared_objects import read_shared_objects
from pgimport.server.template_warnings import describe_open_templates, describe_unusable_templates

# Since 15 the schema public belongs to pg_database_owner, and PUBLIC may not create objects in it.
OLDEST_SERVER = 150000


def read_server_properties(
    access: Access, allowed: Iterable[str], templates: Sequence[str] = (), *, connect: Connect = connect
) -> ObservedServer:
    """Returns the version, the default locale, the available extensions, and those that the admin can create.

    `templates`: databases that the admin should be able to copy; a warning names each template that the admin
    cannot copy, or to which every role may connect.

    Raises ServerUnavailable (ServerNotFit) if the server or its admin does not meet the requirements of an import.
    """
    with session(access, connect=connect) as connection:
        row = connection.execute(read_query("server_properties")).fetchone()
        extensions = connection.execute(read_query("available_extensions"), {"allowed": list(allowed)}).fetchall()
        warnings = describe_unusable_templates(connection, templates) + describe_open_templates(connection, templates)
    if row is None:
        raise _not_fit(access, f"the role {access.user} was dropped")
    version, version_num, superuser, createdb, createrole, standby, default_locale, open_to_public = row
    missing = [
        name for name, granted in (("CREATEDB", createdb), ("CREATEROLE", createrole)) if not (granted or superuser)
    ]
    if version_num < OLDEST_SERVER:
        raise _not_fit(access, f"its version is {version}; 15 or newer is needed")
    if standby:
        raise _not_fit(access, "it is a standby, which is read-only")
    if missing:
        raise _not_fit(access, f"the admin {access.user} lacks {' and '.join(missing)}")
    return ObservedServer(
        version=version.split()[0],
        version_num=version_num,
        creatable_extensions=frozenset(name for name, creatable in extensions if creatable),
        available_extensions=frozenset(name for name, _ in extensions),
        default_locale=default_locale,
        warnings=(*warnings, *_describe_open_database(open_to_public, access.user)),
    )


def _describe_open_database(database: str | None, admin: str) -> list[str]:
    """Returns a warning if every role may connect to the maintenance database.

    `database`: None if only some roles may connect.
    """
    if database is None:
        return []
    return [
        f"The user of each preview may connect to database {database} and use memory, disk and locks there. If no other"
        f" role needs it, run GRANT CONNECT ON DATABASE {database} TO {admin}; REVOKE CONNECT ON DATABASE {database}"
        " FROM PUBLIC as its owner"
    ]


def _not_fit(access: Access, cause: str) -> ServerUnavailable:
    return ServerUnavailable(
        Failure(Reason.SERVER_NOT_FIT, f"the target server {access.address} cannot take imports: {cause}")
    )


def read_swap(access: Access, target: str, names: AttemptNames, *, connect: Connect = connect) -> ObservedSwap:
    """Reads the OIDs of target and shadow; after the swap, the target has the OID that the shadow had."""
    with session(access, connect=connect) as connection:
        existing = read_shared_objects(connection, databases=[target, names.database])
    return ObservedSwap(
        target_oid=existing.databases[target].oid if target in existing.databases else None,
        shadow_oid=existing.databases[names.database].oid if names.database in existing.databases else None,
        target_open=target not in existing.databases
        or existing.databases[target].accepts_sessions
        or existing.databases[target].invalid,
    )


def read_database_oid(access: Access, database: str, *, connect: Connect = connect) -> int:
    """Returns 0, which is no valid OID, if the database does not exist."""
    with session(access, connect=connect) as connection:
        existing = read_shared_objects(connection, databases=[database]).databases.get(database)
    return existing.oid if existing is not None else 0


def read_content(access: Access, database: str, role: str, *, connect: Connect = connect) -> ObservedContent:
    """Reads whether a preview's database exists, and what filled it. The comment of its owner role says so."""
    with session(access, connect=connect) as connection:
        existing = read_shared_objects(connection, databases=[database], roles=[role])
    found, owner = existing.databases.get(database), existing.roles.get(role)
    if found is None or found.invalid or owner is None or owner.mark is None:
        return ObservedContent(exists=False)
    imported = parse_shadow_record(owner.comment).imported
    return ObservedContent(
        exists=owner.mark.phase is DatabasePhase.READY,
        imported=imported is not None,
        data_as_of=imported.data_as_of if imported is not None else None,
        copy_number=imported.copy_number if imported is not None else None,
    )


def read_database_size(access: Access, database: str, *, connect: Connect = connect) -> int | None:
    """Returns the size in bytes, or None if the database does not exist."""
    with session(access, connect=connect) as connection:
        row = connection.execute(read_query("database_size"), {"database": database}).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def read_user_objects(owner_access: Access, database: str, limit: int = 5, *, connect: Connect = connect) -> list[str]:
    """Returns up to `limit` objects that a user created in a database, such as `table public.users`.

    An import may only fill a database without such objects. `owner_access` must be the owner's: the admin never
    connects to a database that may contain hostile objects.
    """
    with session(owner_access, database, connect) as connection:
        rows = connection.execute(read_query("user_objects"), {"limit": limit}).fetchall()
    return [name for (name,) in rows]
