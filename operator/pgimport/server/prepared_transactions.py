"""Prepared transactions that keep a database from being dropped or renamed: listed, and rolled back."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import sql

from pgimport.model.errors import PgimportError, ServerUnavailable
from pgimport.model.owner_comment import OwnerComment
from pgimport.model.reasons import Failure, Reason
from pgimport.server.connection import Connect, Connection, read_query, session
from pgimport.server.server_access import Access
from pgimport.server.temporary_role import temporary_role


@dataclass(frozen=True, slots=True)
class PreparedTransaction:
    """A row of pg_prepared_xacts. `gid` may lack characters: the owner may choose bytes that are no text here."""

    xid: str
    gid: str
    owner: str
    database: str

    def __str__(self) -> str:
        return f"{self.gid} of {self.owner}"


def read_prepared_transactions(connection: Connection, databases: Iterable[str]) -> list[PreparedTransaction]:
    """Returns the prepared transactions of these databases, oldest first."""
    rows = connection.execute(read_query("prepared_transactions"), {"databases": list(databases)}).fetchall()
    return [PreparedTransaction(*row) for row in rows]


def read_locking_transactions(connection: Connection, databases: Iterable[str]) -> list[PreparedTransaction]:
    """Returns the prepared transactions of other databases that lock one of these databases, oldest first."""
    names = list(databases)
    rows = connection.execute(read_query("locking_transactions"), {"databases": names}).fetchall()
    return [found for row in rows if (found := PreparedTransaction(*row)).database not in names]


def roll_back_prepared(access: Access, transactions: Iterable[PreparedTransaction], connect: Connect) -> None:
    """Rolls back prepared transactions: DROP DATABASE refuses those of its database, and waits for those that lock it.

    ROLLBACK PREPARED is only possible as the transaction's owner, from inside its database. The admin never connects
    to a database that may hold hostile objects, so a temporary role does it, as a member of the owner. The owner's own
    row may be locked by the prepared transaction.

    Raises ServerUnavailable (TargetBusy), which names the transaction, if this is not possible.
    """
    for transaction in transactions:
        try:
            with session(access, connect=connect) as connection, _open_database(connection, transaction):
                _roll_back(access, transaction, connect)
        except PgimportError as error:
            message = (
                f"prepared transaction {transaction} in database {transaction.database} cannot be rolled back: {error}"
            )
            advice = "Connect to this database as a superuser and run ROLLBACK PREPARED."
            raise ServerUnavailable(Failure(Reason.TARGET_BUSY, message, advice)) from error


@contextmanager
def _open_database(connection: Connection, transaction: PreparedTransaction) -> Iterator[None]:
    """Allows connections to the transaction's database for a block. Changes nothing if they are allowed already."""
    names = {"database": transaction.database, "roles": [transaction.owner]}
    row = connection.execute(read_query("connect_obstacles"), names).fetchone()
    closed, limit = (row[0], row[1]) if row is not None else (False, -1)
    if not closed and limit != 0:
        yield
        return
    alter = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {} CONNECTION LIMIT {}")
    name = sql.Identifier(transaction.database)
    connection.execute("SET lock_timeout = '1s'")  # a prepared transaction may lock the row in pg_database
    connection.execute(alter.format(name, sql.Literal(True), sql.Literal(-1)))
    try:
        yield
    finally:
        connection.execute(alter.format(name, sql.Literal(not closed), sql.Literal(limit)))


def _roll_back(access: Access, transaction: PreparedTransaction, connect: Connect) -> None:
    mark = OwnerComment(project_uid="", dropped=True)
    database = transaction.database
    with (
        temporary_role(access, database, mark, connect, member_of=(transaction.owner,)) as role_access,
        session(role_access, database, connect) as member,
    ):
        member.execute("SET client_encoding TO sql_ascii")  # no conversion: the gid is sent back as it came
        member.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(transaction.owner)))
        rows = member.execute(
            "SELECT textsend(quote_literal(p.gid)) FROM pg_prepared_xacts AS p"
            " WHERE p.transaction = %s::xid AND p.database = current_database()",
            [transaction.xid],
        ).fetchall()
        for (gid,) in rows:
            member.execute(b"ROLLBACK PREPARED " + gid)
