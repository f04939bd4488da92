"""What is there: names of databases and roles come in, what the server says of each goes out."""

from collections.abc import Iterable
from dataclasses import dataclass

from pgimport.model.owner_comment import OwnerComment, parse_owner_comment
from pgimport.server.connection import Connection, read_query


@dataclass(frozen=True, slots=True)
class SharedObject:
    """A database or role that exists."""

    kind: str  # database or role
    name: str
    oid: int
    open: bool  # a database that lets sessions in; a role that may log in
    invalid: bool  # an interrupted DROP DATABASE: it can only be dropped again
    owner: str | None
    comment: str | None

    @property
    def mark(self) -> OwnerComment | None:
        return parse_owner_comment(self.comment)


@dataclass(frozen=True, slots=True)
class SharedObjects:
    """What was found, by name."""

    databases: dict[str, SharedObject]
    roles: dict[str, SharedObject]


def read_shared_objects(
    connection: Connection, *, databases: Iterable[str] = (), roles: Iterable[str] = ()
) -> SharedObjects:
    """Only those that exist; one query."""
    rows = connection.execute(
        read_query("shared_objects"), {"databases": list(databases), "roles": list(roles)}
    ).fetchall()
    found = [SharedObject(*row) for row in rows]
    return SharedObjects(
        databases={one.name: one for one in found if one.kind == "database"},
        roles={one.name: one for one in found if one.kind == "role"},
    )
