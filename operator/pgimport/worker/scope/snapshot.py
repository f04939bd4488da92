"""Exports a snapshot of the source and holds it, with a lock on every table, until the import no longer needs it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from pgimport.model.order import Order
from pgimport.model.reasons import Failure, Reason
from pgimport.worker.postgres.endpoints import Connection, Endpoint
from pgimport.worker.postgres.errors import ImportStopped, translate_source_error
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.shadow_state import ShadowState
from pgimport.worker.scope.live_scope import SourceScope, read_scope
from pgimport.worker.scope.table_locks import OnWait, lock_tables

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
SEQUENCES_PER_STATEMENT = 200
TRIES = 3  # snapshots at most; a new one is taken if a table was rewritten before its lock
NAMES_IN_A_MESSAGE = 5


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the source."""

    oid: int
    schema: str
    name: str
    partitioned: bool
    bytes: int
    counted_as: int | None  # oid of the root partitioned table at which its rows must be counted
    readable: bool

    @property
    def title(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence with its value, which was read after the snapshot."""

    schema: str
    name: str
    last_value: int
    is_called: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An exported snapshot with the tables and sequences of the scope. `connection` holds it and the locks."""

    connection: Connection
    id: str
    taken_at: datetime  # by the source's clock
    server_version_num: int
    tables: tuple[Table, ...]
    sequences: tuple[Sequence, ...]
    scope: SourceScope

    @property
    def copied(self) -> tuple[Table, ...]:
        """The tables whose rows are copied."""
        return tuple(table for table in self.tables if not table.partitioned and table.oid not in self.scope.rowless)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedTables:
    """What was read after the tables were locked."""

    rewritten: list[str]  # tables that the snapshot would read as empty, because they were rewritten before the lock
    sizes: dict[int, int]  # oid → bytes
    sequence_rows: list[tuple[str, str, bool, int]]  # those of sequences.sql


@contextmanager
def hold_snapshot(
    connection: Connection,
    endpoint: Endpoint,
    order: Order,
    shadow: ShadowState | None = None,
    on_wait: OnWait = lambda _: None,
) -> Iterator[Snapshot]:
    """Holds locks and snapshot over the source's connection, which it closes. Raises ImportStopped.

    `shadow`: what the target has, known after the gate. `on_wait` is called while a lock is not granted.
    """
    try:
        try:
            scope = read_scope(connection, order, endpoint, shadow)
        except psycopg.Error as error:
            raise ImportStopped(translate_source_error(error, "its scope was read")) from error
        yield take_snapshot(connection, scope, on_wait)
    finally:
        connection.close()


def take_snapshot(connection: Connection, scope: SourceScope, on_wait: OnWait = lambda _: None) -> Snapshot:
    """Takes a snapshot and locks its tables. Starts again if a table was rewritten in between. Raises ImportStopped."""
    try:
        for _ in range(TRIES):
            snapshot_id, taken_at, tables = begin_snapshot(connection, scope)
            lock_tables(connection, tables, on_wait)
            locked = read_locked_tables(connection, tables)
            if not locked.rewritten:
                return Snapshot(
                    connection,
                    snapshot_id,
                    taken_at,
                    connection.info.server_version,
                    _add_sizes(tables, locked.sizes),
                    _read_sequence_values(connection, scope, locked.sequence_rows),
                    scope,
                )
            connection.execute("ROLLBACK")
    except psycopg.Error as error:
        raise ImportStopped(translate_source_error(error, "a snapshot of it was taken")) from error
    raise ImportStopped(
        Failure(Reason.SOURCE_CHANGED, f"the source rewrites or truncates {_names(locked.rewritten)} again and again")
    )


def begin_snapshot(connection: Connection, scope: SourceScope) -> tuple[str, datetime, tuple[Table, ...]]:
    """Exports a snapshot and returns its id, its time by the source's clock, and its tables, without their sizes.

    Raises ImportStopped if a table cannot be read.
    """
    # As a number, the time does not depend on the source's DateStyle.
    begin = (
        f"{BEGIN}; SELECT pg_catalog.pg_export_snapshot(),"
        " pg_catalog.date_part('epoch', pg_catalog.transaction_timestamp()); "
    ).encode()
    cursor = connection.execute(begin + read_query("scope/tables"))
    cursor.nextset()  # BEGIN's result comes first
    row = cursor.fetchone()
    cursor.nextset()
    tables = tuple(
        Table(oid, schema, name, kind == "p", 0, counted_as, readable)
        for oid, schema, name, kind, counted_as, readable in cursor
        if not scope.excludes(oid)
    )
    if unreadable := [table.title for table in tables if not table.readable]:
        raise ImportStopped(_build_permission_failure(connection.info.user, "table", "TABLE", unreadable))
    snapshot_id, epoch = row or ("", 0.0)
    return str(snapshot_id), datetime.fromtimestamp(epoch, UTC), tables


def read_locked_tables(connection: Connection, tables: tuple[Table, ...]) -> LockedTables:
    """Reads what is only certain after the tables were locked, in one round trip. Raises psycopg.Error."""
    oids = [table.oid for table in tables]
    with connection.pipeline():
        rewritten_cursor = connection.execute(read_query("scope/rewritten_tables"), [oids])
        size_cursor = connection.execute(read_query("scope/table_sizes"), [oids])
        sequence_cursor = connection.execute(read_query("scope/sequences"))
    return LockedTables(
        rewritten=[f"{schema}.{name}" for schema, name in rewritten_cursor.fetchall()],
        sizes=dict(size_cursor.fetchall()),
        sequence_rows=sequence_cursor.fetchall(),
    )


def _add_sizes(tables: tuple[Table, ...], sizes: dict[int, int]) -> tuple[Table, ...]:
    """Returns the tables with their sizes, the largest first. Pure. `sizes`: oid → bytes."""
    return tuple(sorted((replace(table, bytes=sizes[table.oid]) for table in tables), key=_sort_key))


def _sort_key(table: Table) -> tuple[int, int]:
    return -table.bytes, table.oid


def _read_sequence_values(
    connection: Connection, scope: SourceScope, rows: list[tuple[str, str, bool, int]]
) -> tuple[Sequence, ...]:
    """Returns all sequences with their stored values. pg_sequences would show NULL after setval(…, false)."""
    names = [row[:3] for row in rows if not scope.excludes(row[3])]
    if unreadable := [f"{schema}.{name}" for schema, name, readable in names if not readable]:
        raise ImportStopped(_build_permission_failure(connection.info.user, "sequence", "SEQUENCE", unreadable))
    values: list[Sequence] = []
    for begin in range(0, len(names), SEQUENCES_PER_STATEMENT):
        batch = names[begin : begin + SEQUENCES_PER_STATEMENT]
        statement = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {}::text, {}::text, last_value, is_called FROM {}").format(
                sql.Literal(schema), sql.Literal(name), sql.Identifier(schema, name)
            )
            for schema, name, _ in batch
        )
        values += [Sequence(*row) for row in connection.execute(statement)]
    return tuple(values)


def _names(titles: list[str]) -> str:
    more = len(titles) - NAMES_IN_A_MESSAGE
    return ", ".join(titles[:NAMES_IN_A_MESSAGE]) + (f" and {more} more" if more > 0 else "")


def _build_permission_failure(user: str, noun: str, keyword: str, titles: list[str]) -> Failure:
    schema, _, name = titles[0].partition(".")
    count = f"{len(titles)} {noun}s" if len(titles) > 1 else f"the {noun}"
    return Failure(
        Reason.SOURCE_PERMISSION_DENIED,
        f'the source\'s user {user} cannot read {count} {_names(titles)}: GRANT USAGE ON SCHEMA "{schema}" TO "{user}";'
        f' GRANT SELECT ON {keyword} "{schema}"."{name}" TO "{user}"',
    )
