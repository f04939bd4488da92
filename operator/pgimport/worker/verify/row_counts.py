"""Counts the rows of every table at both ends, in parallel.

The source is counted through the held snapshot, unless COPY has reported counts. A digest is the sum of the hashes of
all rows in text form. Each server computes its own, so no row travels, and neither the order of the rows nor their
partition matters. 64 bits detect accidents, not forgeries. That is enough: all rows come from this source.
"""

import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from functools import partial
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

Row = tuple[Any, ...] | None  # count and, with ROWS_AND_DIGEST, digest; None for a table that does not exist
RowsByOid = Mapping[int, Row]  # by oid at the source, of the root where a root is counted instead of its partitions


def plan_counts(tables: tuple[Table, ...]) -> list[tuple[Table, bool]]:
    """Returns (table, only) pairs of the tables to count.

    `only` is False for a partitioned root, which is counted with all its partitions.
    """
    by_oid = {table.oid: table for table in tables}
    roots = {table.counted_as for table in tables if table.counted_as is not None}
    own = [(table, True) for table in tables if not table.partitioned and table.counted_as is None]
    return own + [(by_oid[oid], False) for oid in sorted(roots) if oid in by_oid]


def add_up_partitions(tables: tuple[Table, ...], counts: Mapping[int, int]) -> RowsByOid:
    """Returns the rows that COPY has counted, and for each root that is counted the sum of its partitions. Pure.

    `counts`: oid → rows.
    """
    sums = dict(counts)
    for table in tables:
        if table.counted_as is not None:
            rows = 0 if table.partitioned else counts.get(table.oid, 0)
            sums[table.counted_as] = sums.get(table.counted_as, 0) + rows
    return {oid: (count,) for oid, count in sums.items()}


def read_source_digests(
    tables: tuple[Table, ...], snapshot: str, source: Endpoint, jobs: int, step: Callable[[], None]
) -> RowsByOid:
    """Counts and digests the rows of every table at the source, as the snapshot sees them. Raises ImportStopped.

    `step` is called after each table.
    """
    rows: dict[int, Row] = {}

    def digest(session: Connection, table: Table, statement: sql.Composed) -> None:
        try:
            rows[table.oid] = session.execute(statement).fetchone()
        except psycopg.Error as error:
            raise ImportStopped(translate_source_error(error, _describe_count(table))) from error
        step()

    _run_for_each(tables, ROWS_AND_DIGEST, jobs, lambda: closing(_open_on_snapshot(source, snapshot)), digest)
    return rows


def compare_rows(
    tables: tuple[Table, ...],
    source_rows: RowsByOid,
    shadow: ShadowSessions,
    jobs: int,
    count: sql.SQL,
    step: Callable[[], None],
) -> list[TableDifference]:
    """Runs `count`, ROWS or ROWS_AND_DIGEST, on every table of the shadow. Raises ImportStopped.

    Returns the results of both ends for all tables. `step` is called after each table.
    """
    results: list[TableDifference] = []

    def compare(session: Connection, table: Table, statement: sql.Composed) -> None:
        results.append(_compare(table, statement, source_rows.get(table.oid), session))
        step()

    _run_for_each(tables, count, jobs, partial(shadow.own_session, "its rows were counted"), compare)
    return results


def _run_for_each(
    tables: tuple[Table, ...],
    count: sql.SQL,
    jobs: int,
    open_session: Callable[[], AbstractContextManager[Connection]],
    run: Callable[[Connection, Table, sql.Composed], None],
) -> None:
    """Calls `run` for each table to count, in at most `jobs` sessions. The first error ends all of them."""
    planned = plan_counts(tables)
    remaining: queue.SimpleQueue[tuple[Table, bool]] = queue.SimpleQueue()
    for item in planned:
        remaining.put(item)
    failed = threading.Event()

    def run_remaining() -> None:
        try:
            with open_session() as session:
                while not failed.is_set():
                    try:
                        table, own_rows_only = remaining.get_nowait()
                    except queue.Empty:
                        return
                    only = sql.SQL("ONLY " if own_rows_only else "")
                    run(session, table, count.format(only, table.identifier))
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(max(1, min(jobs, len(planned)))) as pool:
        for future in [pool.submit(run_remaining) for _ in range(min(jobs, len(planned)))]:
            future.result()


def _open_on_snapshot(source: Endpoint, snapshot: str) -> Connection:
    connection = open_source_connection(source)
    try:
        connection.execute(BEGIN)
        connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
    except psycopg.Error as error:
        connection.close()
        raise ImportStopped(translate_snapshot_error(error, "its snapshot was opened again to count rows")) from error
    return connection


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
