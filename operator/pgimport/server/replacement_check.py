"""May this target and this owner be replaced? Asked before anything is copied, and again before it is swapped."""

from pgimport.model.errors import Conflict
from pgimport.server.connection import (
    FALLBACK_MAINTENANCE_DATABASE,
    MAINTENANCE_DATABASE,
    Access,
    Connect,
    Connection,
    connect,
    read_query,
    session,
)


def check_replaceable(access: Access, target: str, owner: str, *, connect: Connect = connect) -> None:
    """Raises Conflict with what stands against it. Neither need exist."""
    with session(access, connect=connect) as connection:
        require_replaceable(connection, access, target, owner)


def require_replaceable(connection: Connection, access: Access, target: str, owner: str) -> None:
    """The role of this name is replaced with all it is: it must not be the admin, nor own anything elsewhere."""
    if owner == access.user:
        raise Conflict(f"the owner of {target} cannot be the admin {owner} itself; name another role")
    if target in (MAINTENANCE_DATABASE, FALLBACK_MAINTENANCE_DATABASE, "template0"):
        raise Conflict(f"database {target} cannot be replaced: the server needs it; name another one")
    row = connection.execute(read_query("replacement_rights"), {"target": target, "owner": owner}).fetchone()
    database_is_ours, role_is_ours = row or (None, None)
    if database_is_ours is False:
        raise Conflict(f"database {target} cannot be replaced: {access.user} is no member of the role that owns it")
    if role_is_ours is False:
        raise Conflict(f"role {owner} cannot be replaced: {access.user} has no ADMIN OPTION on it; name another owner")
    except_here = [target, MAINTENANCE_DATABASE, FALLBACK_MAINTENANCE_DATABASE]
    rows = connection.execute(read_query("owned_elsewhere"), {"role": owner, "except": except_here}).fetchall()
    if rows:
        owned = ", ".join(name for (name,) in rows[:5])
        raise Conflict(f"role {owner} also owns {owned}: an import would take that from it; name another owner")
