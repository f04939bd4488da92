"""Databases and roles by name, which PostgreSQL calls shared objects: whether they exist, and in what state."""

from collections.abc import Iterable
from dataclasses import dataclass

from pgimport.model.owner_comment import OwnerComment, parse_owner_comment
from pgimport.server.connection import Connection, read_query


@dataclass(frozen=True, slots=True)
class SharedObject:
    """An existing database or role."""

    kind: str  # database or role
    name: str
    oid: int
    accepts_sessions: bool  # datallowconn of a database, rolcanlogin of a role
    invalid: bool  # left by an interrupted DROP DATABASE; it can only be dropped again
    owner: str | None
    template: bool  # IS_TEMPLATE, which the owner may set: DROP DATABASE refuses
    comment: str | None

    @property
    def mark(self) -> OwnerComment | None:
        return parse_owner_comment(self.comment)


@dataclass(frozen=True, slots=True)
class SharedObjects:
    """The existing databases and roles, by name."""

    databases: dict[str, SharedObject]
    roles: dict[str, SharedObject]


def read_shared_objects(
    connection: Connection, *, databases: Iterable[str] = (), roles: Iterable[str] = ()
) -> SharedObjects:
    """Returns those of these databases and roles that exist, with one query."""
    rows = connection.execute(
        read_query("shared_objects"), {"databases": list(databases), "roles": list(roles)}
    ).fetchall()
    objects = [SharedObject(*row) for row in rows]
    return SharedObjects(
        databases={shared.name: shared for shared in objects if shared.kind == "database"},
        roles={shared.name: shared for shared in objects if shared.kind == "role"},
    )
