"""Locks the tables of a snapshot, and says who holds a lock that the import waits for."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import psycopg
from psycopg import sql

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.session_settings import SOURCE_LOCK_SECONDS

LOCKS_PER_STATEMENT = 300
REPORT_SECONDS = 10  # time until the import names the holder of a lock, and again after each such time
WAIT_SECONDS = SOURCE_LOCK_SECONDS  # time until the attempt fails
_LOCK_TIMEOUT = "55P03"
OnWait = Callable[[str], None]  # gets a sentence without a full stop


class LockableTable(Protocol):
    """A table of the source."""

    @property
    def oid(self) -> int: ...
    @property
    def identifier(self) -> sql.Identifier: ...


@dataclass(frozen=True, slots=True)
class LockHolder:
    """A session with a lock that keeps readers out, or that waits for such a lock and so makes readers wait too."""

    table: str
    pid: int | None  # None for a prepared transaction
    application: str | None
    user: str | None
    granted: bool
    transaction: str | None  # name of a prepared transaction

    def describe(self) -> str:
        if self.pid is None:
            return f"{self.table} is locked by the prepared transaction {self.transaction or 'of another session'}"
        title = f"process {self.pid} (application {self.application or 'unknown'}, user {self.user or 'unknown'})"
        if self.granted:
            return f"{self.table} is locked by {title}"
        return f"{self.table} is locked by readers, and {title} waits for them to lock it exclusively"


def lock_tables(connection: Connection, tables: Sequence[LockableTable], on_wait: OnWait = lambda _: None) -> None:
    """Takes ACCESS SHARE on every table, which keeps out DDL and TRUNCATE, in the transaction that is open.

    Calls `on_wait` after REPORT_SECONDS with the table and the holder of its lock. Raises ImportStopped after
    WAIT_SECONDS, and psycopg.Error.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    for begin in range(0, len(tables), LOCKS_PER_STATEMENT):
        batch = tables[begin : begin + LOCKS_PER_STATEMENT]
        while not _try_lock(connection, batch):
            text = _describe_wait(connection, batch)
            if time.monotonic() >= deadline:
                message = f"the source's lock was not granted within {WAIT_SECONDS} s: {text}"
                raise ImportStopped(Failure(Reason.SOURCE_LOCKED, message))
            on_wait(f"the import waits for a lock at the source: {text}")


def _try_lock(connection: Connection, batch: Sequence[LockableTable]) -> bool:
    """Returns False if a lock was not granted in time. The transaction stays usable."""
    names = sql.SQL(", ").join(sql.SQL("ONLY {}").format(table.identifier) for table in batch)
    # The session may wait for other locks later, for example to print a view's definition.
    statement = sql.SQL(
        "SAVEPOINT before_locks; SET LOCAL lock_timeout = {}; LOCK TABLE {} IN ACCESS SHARE MODE;"
        " SET LOCAL lock_timeout = {}; RELEASE before_locks"
    ).format(sql.Literal(f"{REPORT_SECONDS}s"), names, sql.Literal(f"{WAIT_SECONDS}s"))
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        if error.sqlstate != _LOCK_TIMEOUT:
            raise
        connection.execute("ROLLBACK TO before_locks")
        return False
    return True


def _describe_wait(connection: Connection, batch: Sequence[LockableTable]) -> str:
    oids = [table.oid for table in batch]
    rows = connection.execute(read_query("scope/lock_holders"), [oids]).fetchall()
    return LockHolder(*rows[0]).describe() if rows else "its holder has ended"
