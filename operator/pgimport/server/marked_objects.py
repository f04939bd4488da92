"""Databases and roles that carry a mark, which is the comment by which we recognise what we created."""

from dataclasses import dataclass, field
from typing import Literal

from pgimport.model.names import AttemptNames, owner_role_name, replaced_names
from pgimport.model.owner_comment import OwnerComment, parse_owner_comment
from pgimport.server.connection import Connect, Connection, connect, read_query, session
from pgimport.server.database_locks import lock_database_name
from pgimport.server.drop import drop_database
from pgimport.server.roles import drop_role
from pgimport.server.server_access import Access
from pgimport.server.shared_objects import read_shared_objects


@dataclass(frozen=True, slots=True)
class MarkedObject:
    """A database or role with the mark of a Project."""

    kind: Literal["database", "role"]
    name: str
    mark: OwnerComment
    # Where something depends on a role that could not be dropped yet, such as `database shop`.
    holders: tuple[str, ...] = field(default=(), compare=False)
    connection_limit: int | None = field(default=None, compare=False)  # of a role


def read_marked_objects(access: Access, project_uid: str, *, connect: Connect = connect) -> list[MarkedObject]:
    """Returns the marked databases of a Project, then its marked roles; this is the order in which to drop them.

    Includes disabled roles (see `drop_role`) of all Projects, because their own Project may no longer exist.
    """
    with session(access, connect=connect) as connection:
        return [
            marked for marked in _read_all(connection) if marked.mark.dropped or marked.mark.project_uid == project_uid
        ]


def _read_all(connection: Connection) -> list[MarkedObject]:
    """Lists all marked objects. A database that somebody else gave to the owner role of a preview is none of them."""
    rows = connection.execute(read_query("marked_objects")).fetchall()
    return [
        MarkedObject(kind, name, mark, tuple(holders), limit)
        for kind, name, comment, holders, limit, owner in rows
        if (mark := parse_owner_comment(comment)) is not None and owner in (None, owner_role_name(name))
    ]


def drop_marked_object(access: Access, marked: MarkedObject, *, connect: Connect = connect) -> None:
    """Drops a database or role if it still has the same mark; another object may have got its name meanwhile."""
    with session(access, connect=connect) as connection:
        lock_database_name(connection, marked.name)
        if marked not in _read_all(connection):
            return
        if marked.kind == "database":
            drop_database(connection, access, marked.name, connect)
        else:
            drop_role(connection, access, marked.name, connect)


def is_own_attempt(access: Access, names: AttemptNames, import_uid: str, *, connect: Connect = connect) -> bool:
    """Tells whether all objects of an attempt on the server belong to this import.

    The mark of the attempt's role, and of the role that its swap replaced, must name the import. If neither role
    exists, the attempt must have no database either. The check is needed because the names are derived from the pod's
    uid in the status, which others may write.
    """
    replaced = replaced_names(names.database)
    with session(access, connect=connect) as connection:
        existing = read_shared_objects(
            connection, databases=[names.database, replaced.database], roles=[names.role, replaced.role]
        )
    marks = [role.mark for role in existing.roles.values()]
    return all(mark is not None and mark.import_uid == import_uid for mark in marks) and (
        bool(marks) or not existing.databases
    )
