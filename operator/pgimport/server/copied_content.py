"""Gives the content of a copied database to the owner of the copy."""

from collections.abc import Iterator
from itertools import islice

import psycopg
from psycopg import errors as postgres

from pgimport.model.errors import Refused
from pgimport.model.names import short_hash
from pgimport.model.owner_comment import parse_owner_comment
from pgimport.model.reasons import Failure, Reason
from pgimport.server.connection import Connect, Connection, read_query, session
from pgimport.server.preview import PreviewPlan
from pgimport.server.roles import drop_role
from pgimport.server.server_access import Access
from pgimport.server.temporary_role import temporary_role

# Objects whose owner changes in one transaction. It locks each of them with its indexes, and the lock table of a server
# with default settings has room for 6,400 locks. 10,000 tables took 6 to 8 seconds.
OWNERS_PER_TRANSACTION = 50
# Statements that are in memory at once. A source can have millions of large objects.
STATEMENTS_PER_FETCH = 5000


def take_content(
    connection: Connection, access: Access, preview: PreviewPlan, source: tuple[str, str], connect: Connect
) -> None:
    """Makes the preview's role the owner of everything that belonged to the source's owner.

    `source`: names of the copied database and of its owner role.

    A temporary role does it, as a member of both: the admin never connects to a database with imported content. The
    source's owner may have another name by now, if an import has replaced the source since.
    """
    source_database, source_role = source
    rows = connection.execute(read_query("content_owners"), {"database": preview.database}).fetchall()
    owners = [
        name
        for name, comment in rows
        # The command line leaves no mark on the owner of an import.
        if (parse_owner_comment(comment) is not None or name == source_role) and name != preview.role
    ]
    temporary = f"pgimport_temporary_{short_hash(preview.database, 20)}"
    if not owners:
        drop_role(connection, access, temporary, connect)  # a crash after the last change may have left it
        return
    members = (preview.role, *owners)
    with (
        temporary_role(
            access, preview.database, preview.mark, connect, member_of=members, name=temporary
        ) as role_access,
        session(role_access, preview.database, connect) as member,
    ):
        member.execute("SET client_encoding TO sql_ascii")  # no conversion: the names are sent back as they came
        for statements in _read_owner_changes(member, preview.role, owners):
            try:
                # PostgreSQL runs the statements of one simple query as one transaction.
                member.execute(b"; ".join(statements))
            except (postgres.InsufficientPrivilege, postgres.OutOfMemory):  # OutOfMemory: the lock table is full
                _change_owners_singly(member, source_database, statements)


def _change_owners_singly(member: Connection, source: str, statements: list[bytes]) -> None:
    """Changes the owners with fewer locks at once. Raises Refused with the name of the first that cannot change.

    The new owner lacks a right on another object. In a database that an earlier release filled, it can be a right on an
    object of an extension. Or an admin granted it to the source's owner alone, for example on a foreign-data wrapper.
    """
    for statement in statements:
        try:
            member.execute(statement)
        except postgres.InsufficientPrivilege as error:
            changed = statement.decode(errors="replace").removeprefix("ALTER ").partition(" OWNER TO ")[0]
            message = (
                f"{changed} in database {source} cannot belong to the owner of a copy: {error.diag.message_primary}"
                f" ({error.sqlstate})"
            )
            advice = (
                "Import into the preview that is to be copied again: the import grants the rights on extensions. If an"
                f" admin granted the right to the owner of database {source}, grant it to pg_database_owner there, too."
                " Then set spec.resetAt of this preview."
            )
            raise Refused(Failure(Reason.SERVER_REFUSED, message, advice)) from error


def _read_owner_changes(member: Connection, owner: str, owners: list[str]) -> Iterator[list[bytes]]:
    """Yields the statements of the query `owner_changes` in groups, each for one transaction.

    The server keeps them in a cursor that outlives these transactions, and writes it to disk if it is large.
    """
    declare = b"DECLARE owner_changes CURSOR WITH HOLD FOR " + read_query("owner_changes")
    # Client-side binding: DECLARE takes no parameters.
    psycopg.ClientCursor(member).execute(declare, {"owner": owner, "owners": owners})
    while True:
        rows = member.execute(f"FETCH {STATEMENTS_PER_FETCH} FROM owner_changes".encode()).pgresult
        if rows is None or rows.ntuples == 0:
            break
        statements = (rows.get_value(row, 0) or b"" for row in range(rows.ntuples))
        while group := list(islice(statements, OWNERS_PER_TRANSACTION)):
            yield group
    member.execute("CLOSE owner_changes")
