"""Reads a database whose owner's password is unknown, as a temporary role.

The admin never connects to a database that may contain hostile objects.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from psycopg import sql

from pgimport.model.errors import ServerUnavailable
from pgimport.model.owner_comment import OwnerComment
from pgimport.server.connection import Connect, Connection, connect, read_query, session
from pgimport.server.roles import create_role, drop_role
from pgimport.server.server_access import Access
from pgimport.server.server_state import read_user_objects
from pgimport.server.shared_objects import read_shared_objects


def read_user_objects_as_temporary_role(
    access: Access, database: str, mark: OwnerComment, limit: int = 5, *, connect: Connect = connect
) -> list[str]:
    """Returns the same as `read_user_objects`, or an empty list if the database does not exist."""
    with session(access, connect=connect) as connection:
        if database not in read_shared_objects(connection, databases=[database]).databases:
            return []
    with temporary_role(access, database, mark, connect) as role_access:
        return read_user_objects(role_access, database, limit, connect=connect)


def read_preview_objects(
    owner_access: Access | None,
    access: Access,
    database: str,
    mark: OwnerComment,
    *,
    connect: Connect = connect,
) -> list[str]:
    """Returns the same as `read_user_objects`: as the owner, or as a temporary role if the owner cannot log in.

    `owner_access`: None if the owner may never log in. For other owners, it can happen that the preview's user has used
    up its CONNECTION LIMIT.
    """
    if owner_access is not None:
        with suppress(ServerUnavailable):
            return read_user_objects(owner_access, database, connect=connect)
    return read_user_objects_as_temporary_role(access, database, mark, connect=connect)


@contextmanager
def temporary_role(
    access: Access,
    database: str,
    mark: OwnerComment,
    connect: Connect,
    *,
    member_of: Sequence[str] = (),
    name: str | None = None,
) -> Iterator[Access]:
    """Creates a role that may connect to one database, for the length of a block.

    `name`: of the role, if no other caller uses it at the same time; a role that a crash left is dropped first. Without
    it, the name is random.

    If `member_of` is set, the role inherits CONNECT from one of these roles, if one has it, and may SET ROLE to each.
    """
    left_over, password = name, secrets.token_hex(32)
    name = name or f"pgimport_temporary_{secrets.token_hex(10)}"
    role_name, database_name = sql.Identifier(name), sql.Identifier(database)
    granted = False
    with session(access, connect=connect) as connection:
        if left_over is not None:
            drop_role(connection, access, left_over, connect)
        try:
            create_role(connection, name, password, mark)
            if member_of:
                roles = sql.SQL(", ").join(map(sql.Identifier, member_of))
                connection.execute(sql.SQL("GRANT {} TO {}").format(roles, role_name))
            if _lacks_connect(connection, database, member_of):
                connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database_name, role_name))
                granted = True
            _override_settings(connection, role_name, database_name)
            connection.execute(sql.SQL("ALTER ROLE {} LOGIN").format(role_name))
            yield replace(access, user=name, password=password)
        finally:
            if granted:
                connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM {}").format(database_name, role_name))
            drop_role(connection, access, name, connect)


def _lacks_connect(connection: Connection, database: str, roles: Sequence[str]) -> bool:
    """Says whether none of these roles may connect: the owner of a database can revoke its own right."""
    names = {"database": database, "roles": list(roles)}
    row = connection.execute(read_query("connect_obstacles"), names).fetchone()
    return row is None or bool(row[2])


def _override_settings(connection: Connection, role: sql.Identifier, database: sql.Identifier) -> None:
    """Stores settings for the role that `connect` cannot set on servers of every version.

    They override the owner's ALTER DATABASE … SET.
    """
    if connection.info.server_version >= 170000:
        clause = sql.SQL("ALTER ROLE {} IN DATABASE {} SET transaction_timeout TO 0")
        connection.execute(clause.format(role, database))
