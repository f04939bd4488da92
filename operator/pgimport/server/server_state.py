"""Looking without touching: an `Access` and names come in, what the server says goes out as plain values."""

from collections.abc import Iterable

from pgimport.model.errors import ServerUnavailable
from pgimport.model.names import AttemptNames, replaced_names
from pgimport.model.observations import ObservedServer, ObservedSwap
from pgimport.model.reasons import Failure, Reason
from pgimport.server.connection import Access, Connect, connect, read_query, session
from pgimport.server.shared_objects import read_shared_objects

# 14 knows neither pg_database_owner's public schema nor trusted defaults that the steps rely on.
OLDEST_SERVER = 150000


def read_server_facts(access: Access, allowed: Iterable[str], *, connect: Connect = connect) -> ObservedServer:
    """Raises ServerUnavailable also where the server or its admin is not fit to take imports."""
    with session(access, connect=connect) as connection:
        row = connection.execute(read_query("server_properties")).fetchone()
        extensions = connection.execute(read_query("creatable_extensions"), {"allowed": list(allowed)}).fetchall()
    if row is None:
        raise _not_fit(access, f"the role {access.user} was dropped")
    version, version_num, superuser, createdb, createrole, standby = row
    missing = [name for name, has in (("CREATEDB", createdb), ("CREATEROLE", createrole)) if not (has or superuser)]
    if version_num < OLDEST_SERVER:
        raise _not_fit(access, f"its version is {version}; 15 or newer is needed")
    if standby:
        raise _not_fit(access, "it is a standby and takes no writes")
    if missing:
        raise _not_fit(access, f"the admin {access.user} lacks {' and '.join(missing)}")
    return ObservedServer(
        version=version.split()[0],
        version_num=version_num,
        creatable_extensions=frozenset(name for (name,) in extensions),
    )


def _not_fit(access: Access, why: str) -> ServerUnavailable:
    return ServerUnavailable(
        Failure(Reason.SERVER_NOT_FIT, f"the target server {access.address} cannot take imports: {why}")
    )


def read_swap(access: Access, target: str, names: AttemptNames, *, connect: Connect = connect) -> ObservedSwap:
    """Where a swap stands: the target's OID is the shadow's once it is done."""
    replaced = replaced_names(names.database)
    with session(access, connect=connect) as connection:
        found = read_shared_objects(
            connection, databases=[target, names.database, replaced.database], roles=[replaced.role]
        )
    return ObservedSwap(
        target_oid=found.databases[target].oid if target in found.databases else None,
        shadow_oid=found.databases[names.database].oid if names.database in found.databases else None,
        target_open=target not in found.databases
        or found.databases[target].accepts_sessions
        or found.databases[target].invalid,
        replaced_exists=replaced.database in found.databases or replaced.role in found.roles,
    )


def read_database_oid(access: Access, database: str, *, connect: Connect = connect) -> int:
    """0 where it is not there: no database has this OID."""
    with session(access, connect=connect) as connection:
        found = read_shared_objects(connection, databases=[database]).databases.get(database)
    return found.oid if found is not None else 0


def read_database_size(access: Access, database: str, *, connect: Connect = connect) -> int | None:
    """Bytes; None where it is not there (any more)."""
    with session(access, connect=connect) as connection:
        row = connection.execute(read_query("database_size"), {"database": database}).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def read_user_objects(owner_access: Access, database: str, limit: int = 5, *, connect: Connect = connect) -> list[str]:
    """Some of the objects that somebody made in a database (`table public.users`); empty: it may be filled.

    The database may hold anything, so its owner looks, never the admin.
    """
    with session(owner_access, database, connect) as connection:
        rows = connection.execute(read_query("user_objects"), {"limit": limit}).fetchall()
    return [name for (name,) in rows]
