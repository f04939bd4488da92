"""Counts the rows of every table at both ends, in parallel.

The source is counted through the held snapshot, unless COPY has reported counts. A digest is the sum of the hashes of
all rows in text form. Each server computes its own, so no row travels, and neither the order of the rows nor their
partition matters. 64 bits detect accidents, not forgeries. That is enough: all rows come from this source.
"""

import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from typing import Any

import psycopg
from psycopg import sql

from pgimport.model.result import TableDifference
from pgimport.worker.postgres.endpoints import Connection, Endpoint
from pgimport.worker.postgres.errors import (
    ImportStopped,
    translate_snapshot_error,
    translate_source_error,
    translate_target_error,
)
from pgimport.worker.postgres.shadow import ShadowSessions
from pgimport.worker.postgres.source import open_source_connection
from pgimport.worker.scope.snapshot import BEGIN, Table

ROWS = sql.SQL("SELECT pg_catalog.count(*) FROM {}{}")
ROWS_AND_DIGEST = sql.SQL(
    "SELECT pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtextextended(ROW(t.*)::pg_catalog.text, 0))"
    " FROM {}{} AS t"
)

Row = tuple[Any, ...] | None


def plan_counts(tables: tuple[Table, ...]) -> list[tuple[Table, bool]]:
    """Returns each table to count, with True for ONLY and False for a root counted instead of its partitions."""
    by_oid = {table.oid: table for table in tables}
    roots = {table.counted_as for table in tables if table.counted_as is not None}
    own = [(table, True) for table in tables if not table.partitioned and table.counted_as is None]
    return own + [(by_oid[oid], False) for oid in sorted(roots) if oid in by_oid]


def count_rows(
    tables: tuple[Table, ...],
    snapshot: str,
    ends: tuple[Endpoint, ShadowSessions],
    jobs: int,
    count: sql.SQL,
    step: Callable[[], None],
    source_counts: Mapping[int, int] | None = None,
) -> list[TableDifference]:
    """Runs `count`, ROWS or ROWS_AND_DIGEST, on every table and returns all results. Raises ImportStopped.

    `ends`: source and shadow. `source_counts`: oid → rows of every table, if they are known already. `step` is called
    after each table.
    """
    source, shadow = ends
    known = _add_up_partitions(tables, source_counts) if source_counts is not None and count is ROWS else None
    remaining: queue.SimpleQueue[tuple[Table, bool]] = queue.SimpleQueue()
    planned = plan_counts(tables)
    for item in planned:
        remaining.put(item)
    results: list[TableDifference] = []
    failed = threading.Event()

    def count_remaining() -> None:
        try:
            with (
                closing(_open_on_snapshot(source, snapshot)) if known is None else nullcontext() as source_session,
                shadow.own_session("its rows were counted") as shadow_session,
            ):
                while not failed.is_set():
                    try:
                        table, own_rows_only = remaining.get_nowait()
                    except queue.Empty:
                        return
                    statement = count.format(sql.SQL("ONLY " if own_rows_only else ""), table.identifier)
                    source_row = (
                        _count_source(table, statement, source_session)
                        if source_session
                        else ((known or {})[table.oid],)
                    )
                    results.append(_compare(table, statement, source_row, shadow_session))
                    step()
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(max(1, min(jobs, len(planned)))) as pool:
        for future in [pool.submit(count_remaining) for _ in range(min(jobs, len(planned)))]:
            future.result()
    return results


def _open_on_snapshot(source: Endpoint, snapshot: str) -> Connection:
    connection = open_source_connection(source)
    try:
        connection.execute(BEGIN)
        connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
    except psycopg.Error as error:
        connection.close()
        raise ImportStopped(translate_snapshot_error(error, "its snapshot was opened again to count rows")) from error
    return connection


def _add_up_partitions(tables: tuple[Table, ...], counts: Mapping[int, int]) -> dict[int, int]:
    """Adds the count of each root that is counted instead of its partitions. Pure."""
    known = dict(counts)
    for table in tables:
        if table.counted_as is not None and not table.partitioned:
            known[table.counted_as] = known.get(table.counted_as, 0) + counts[table.oid]
    return known


def _count_source(table: Table, statement: sql.Composed, source_session: Connection) -> Row:
    try:
        return source_session.execute(statement).fetchone()
    except psycopg.Error as error:
        raise ImportStopped(translate_source_error(error, _describe_count(table))) from error


def _describe_count(table: Table) -> str:
    return f"the rows of {table.title} were counted"


def _compare(table: Table, statement: sql.Composed, source_row: Row, shadow_session: Connection) -> TableDifference:
    try:
        shadow_row = shadow_session.execute(statement).fetchone()
    except psycopg.errors.UndefinedTable:
        shadow_row = None
    except psycopg.Error as error:
        raise ImportStopped(translate_target_error(error, _describe_count(table))) from error
    return TableDifference(
        table=table.title,
        source_rows=source_row[0] if source_row else None,
        target_rows=shadow_row[0] if shadow_row else None,
        source_digest=_get_digest(source_row),
        target_digest=_get_digest(shadow_row),
    )


def _get_digest(row: Row) -> str | None:
    """Returns the digest, or None if none was computed or the table has no rows."""
    return str(row[1]) if row is not None and len(row) > 1 and row[1] is not None else None
