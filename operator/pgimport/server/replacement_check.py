"""Checks that a target database and its owner may be replaced: before rows are copied, and again before the swap."""

from pgimport.model.errors import Refused
from pgimport.model.reasons import Failure, Reason
from pgimport.server.connection import (
    FALLBACK_MAINTENANCE_DATABASE,
    MAINTENANCE_DATABASE,
    Connect,
    Connection,
    connect,
    read_query,
    session,
)
from pgimport.server.server_access import Access


def check_replaceable(access: Access, target: str, owner: str, *, connect: Connect = connect) -> None:
    """Raises Refused if the target or its owner may not be replaced. Neither needs to exist."""
    with session(access, connect=connect) as connection:
        require_replaceable(connection, access, target, owner)


def require_replaceable(connection: Connection, access: Access, target: str, owner: str) -> None:
    """Raises Refused if the target or its owner may not be replaced.

    The swap replaces the owner role too, so it must not be the admin and must not own objects in other databases.
    """
    if owner == access.user:
        raise _refuse(f"the owner of {target} cannot be the admin {owner}; choose another role")
    if target in (MAINTENANCE_DATABASE, FALLBACK_MAINTENANCE_DATABASE, "template0"):
        raise _refuse(f"database {target} cannot be replaced: PostgreSQL needs it; choose another name")
    row = connection.execute(read_query("replacement_rights"), {"target": target, "owner": owner}).fetchone()
    may_replace_database, may_replace_role = row or (None, None)
    if may_replace_database is False:
        raise _refuse(f"database {target} cannot be replaced: {access.user} is not a member of its owner")
    if may_replace_role is False:
        raise _refuse(f"role {owner} cannot be replaced: {access.user} has no ADMIN OPTION on it; choose another owner")
    excluded = [target, MAINTENANCE_DATABASE, FALLBACK_MAINTENANCE_DATABASE]
    rows = connection.execute(read_query("owned_elsewhere"), {"role": owner, "excluded": excluded}).fetchall()
    if rows:
        owned = ", ".join(name for (name,) in rows[:5])
        raise _refuse(f"role {owner} also owns {owned} and would lose it; choose another owner")


def _refuse(message: str) -> Refused:
    return Refused(Failure(Reason.TARGET_NOT_REPLACEABLE, message))
