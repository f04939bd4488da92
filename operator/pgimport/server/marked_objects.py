"""Leftovers: a Project's uid in, everything on the server that carries its mark out; and the end of one of them."""

from dataclasses import dataclass
from typing import Literal

from pgimport.model.owner_comment import OwnerComment, parse_owner_comment
from pgimport.server.connection import Access, Connect, Connection, connect, lock_database_name, read_query, session
from pgimport.server.drop import drop_database, drop_role
from pgimport.server.sessions import disallow_connections


@dataclass(frozen=True, slots=True)
class MarkedObject:
    """A database or role that somebody of ours made."""

    kind: Literal["database", "role"]
    name: str
    mark: OwnerComment


def read_marked_objects(access: Access, project_uid: str, *, connect: Connect = connect) -> list[MarkedObject]:
    """Of this Project alone; databases before roles, as they must be dropped."""
    with session(access, connect=connect) as connection:
        return [one for one in _read_all(connection) if one.mark.project_uid == project_uid]


def _read_all(connection: Connection) -> list[MarkedObject]:
    rows = connection.execute(read_query("marked_objects")).fetchall()
    return [
        MarkedObject(kind, name, mark)
        for kind, name, comment in rows
        if (mark := parse_owner_comment(comment)) is not None
    ]


def drop_marked_object(access: Access, marked: MarkedObject, *, connect: Connect = connect) -> None:
    """Only while it still carries this very mark: between look and drop it may have become something else."""
    with session(access, connect=connect) as connection:
        lock_database_name(connection, marked.name)
        if marked not in _read_all(connection):
            return
        if marked.kind == "database":
            disallow_connections(connection, databases=[marked.name], roles=())
            drop_database(connection, access, marked.name, connect)
        else:
            drop_role(connection, access, marked.name, connect)
