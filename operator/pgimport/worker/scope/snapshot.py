"""One view of the source for everything: an exported snapshot, held with locks until the copy is verified."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from pgimport.model.order import Order
from pgimport.model.reasons import Failure, Reason
from pgimport.worker.postgres.endpoints import Connection, Endpoint
from pgimport.worker.postgres.errors import ImportStopped, translate_source_error
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.source import open_source_connection
from pgimport.worker.scope.live_scope import SourceScope, read_scope

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
LOCKS_PER_STATEMENT = 300
SEQUENCES_PER_STATEMENT = 200
TRIES = 3  # a table rewritten between snapshot and lock: a new snapshot sees it whole
NAMES_IN_A_MESSAGE = 5


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the source."""

    oid: int
    schema: str
    name: str
    partitioned: bool
    bytes: int
    counted_as: int | None  # the root that it must be counted through
    readable: bool

    @property
    def title(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence and where it stood, once, after the snapshot."""

    schema: str
    name: str
    last_value: int
    is_called: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the holder's connection sees and keeps from changing its shape."""

    connection: Connection
    id: str
    server_version_num: int
    tables: tuple[Table, ...]
    sequences: tuple[Sequence, ...]
    scope: SourceScope

    @property
    def copied(self) -> tuple[Table, ...]:
        """Tables with rows of their own."""
        return tuple(table for table in self.tables if not table.partitioned and table.oid not in self.scope.rowless)


@contextmanager
def hold_snapshot(endpoint: Endpoint, order: Order) -> Iterator[Snapshot]:
    """Locks and snapshot for the length of the block. Raises Stopped."""
    connection = open_source_connection(endpoint)
    try:
        try:
            scope = read_scope(connection, order, endpoint)
        except psycopg.Error as error:
            raise ImportStopped(translate_source_error(error, "what is meant of it was listed")) from error
        yield take_snapshot(connection, scope)
    finally:
        connection.close()


def take_snapshot(connection: Connection, scope: SourceScope) -> Snapshot:
    """Begin, lock, look again; once more from the start where a table was rewritten in between. Raises Stopped."""
    try:
        for _ in range(TRIES):
            snapshot_id, tables = begin_snapshot(connection, scope)
            lock_tables(connection, tables)
            changed = read_rewritten(connection, tables)
            if not changed:
                return Snapshot(
                    connection,
                    snapshot_id,
                    connection.info.server_version,
                    tables,
                    read_sequences(connection, scope),
                    scope,
                )
            connection.execute("ROLLBACK")
    except psycopg.Error as error:
        raise ImportStopped(translate_source_error(error, "a snapshot of it was taken")) from error
    raise ImportStopped(
        Failure(Reason.SOURCE_CHANGED, f"the source rewrites or truncates {_names(changed)} again and again")
    )


def begin_snapshot(connection: Connection, scope: SourceScope) -> tuple[str, tuple[Table, ...]]:
    """Export a snapshot; list what it shows. Raises Stopped where something cannot be read."""
    begun = connection.execute(f"{BEGIN}; SELECT pg_catalog.pg_export_snapshot()")
    begun.nextset()  # of the two results the second
    row = begun.fetchone()
    tables = tuple(
        Table(oid, schema, name, kind == "p", size, counted_as, readable)
        for oid, schema, name, kind, size, counted_as, readable in connection.execute(read_query("scope/tables"))
        if not scope.excludes(oid)
    )
    if closed := [table.title for table in tables if not table.readable]:
        raise ImportStopped(_denied(connection.info.user, "table", "TABLE", closed))
    return str(row[0] if row else ""), tables


def lock_tables(connection: Connection, tables: tuple[Table, ...]) -> None:
    """ACCESS SHARE on every table: no DDL and no TRUNCATE until the end. Raises psycopg.Error."""
    for begin in range(0, len(tables), LOCKS_PER_STATEMENT):
        batch = tables[begin : begin + LOCKS_PER_STATEMENT]
        names = sql.SQL(", ").join(sql.SQL("ONLY {}").format(table.identifier) for table in batch)
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))


def read_rewritten(connection: Connection, tables: tuple[Table, ...]) -> list[str]:
    """Tables that the snapshot would read as empty, because they were rewritten before they were locked."""
    oids = [table.oid for table in tables]
    return [f"{schema}.{name}" for schema, name in connection.execute(read_query("scope/rewritten_tables"), [oids])]


def read_sequences(connection: Connection, scope: SourceScope) -> tuple[Sequence, ...]:
    """Where every sequence stands, read from itself: pg_sequences hides what setval(…, false) wrote."""
    listed = connection.execute(read_query("scope/sequences")).fetchall()
    found = [row[:3] for row in listed if not scope.excludes(row[3])]
    if closed := [f"{schema}.{name}" for schema, name, readable in found if not readable]:
        raise ImportStopped(_denied(connection.info.user, "sequence", "SEQUENCE", closed))
    values: list[Sequence] = []
    for begin in range(0, len(found), SEQUENCES_PER_STATEMENT):
        batch = found[begin : begin + SEQUENCES_PER_STATEMENT]
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


def _denied(user: str, what: str, keyword: str, titles: list[str]) -> Failure:
    schema, _, name = titles[0].partition(".")
    count = f"{len(titles)} {what}s" if len(titles) > 1 else f"the {what}"
    return Failure(
        Reason.SOURCE_PERMISSION_DENIED,
        f'the source\'s user {user} cannot read {count} {_names(titles)}: GRANT USAGE ON SCHEMA "{schema}" TO "{user}";'
        f' GRANT SELECT ON {keyword} "{schema}"."{name}" TO "{user}"',
    )
