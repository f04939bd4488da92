"""A look inside a database whose owner's password is not known: a role of this moment looks, never the admin."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from psycopg import sql

from pgimport.model.owner_comment import OwnerComment
from pgimport.server.connection import Access, Connect, connect, session
from pgimport.server.drop import drop_role
from pgimport.server.preview import create_role
from pgimport.server.server_state import read_user_objects
from pgimport.server.shared_objects import read_shared_objects


def read_user_objects_as_temporary_role(
    access: Access, database: str, mark: OwnerComment, limit: int = 5, *, connect: Connect = connect
) -> list[str]:
    """As `read_user_objects`; empty too where there is no such database."""
    with session(access, connect=connect) as connection:
        if database not in read_shared_objects(connection, databases=[database]).databases:
            return []
    with _visit(access, database, mark, connect) as visitor:
        return read_user_objects(visitor, database, limit, connect=connect)


@contextmanager
def _visit(access: Access, database: str, mark: OwnerComment, connect: Connect) -> Iterator[Access]:
    """A role that may enter one database and nothing else, for the length of a block."""
    name, password = f"pgimport_visit_{secrets.token_hex(10)}", secrets.token_hex(32)
    role, place = sql.Identifier(name), sql.Identifier(database)
    with session(access, connect=connect) as connection:
        try:
            create_role(connection, name, password, mark)
            connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(place, role))
            connection.execute(sql.SQL("ALTER ROLE {} LOGIN").format(role))
            yield replace(access, user=name, password=password)
        finally:
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM {}").format(place, role))
            drop_role(connection, access, name, connect)
