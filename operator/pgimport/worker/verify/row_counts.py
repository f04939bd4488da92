"""Rows of every table at both ends, counted in parallel: the source through the held snapshot, where COPY has not told.

A digest is the sum of the hashes of all rows, each in its text form: the servers reckon it themselves, no row travels
for it, and neither the rows' order nor the partition that one lies in matters. 64 bits find an accident, not an enemy;
but the copy's only source is the one that it is compared with.
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
from pgimport.worker.postgres.errors import ImportStopped, translate_source_error, translate_target_error
from pgimport.worker.postgres.shadow import ShadowSessions
from pgimport.worker.postgres.source import open_source_connection
from pgimport.worker.scope.snapshot import BEGIN, Table

ROWS = sql.SQL("SELECT pg_catalog.count(*) FROM {}{}")
ROWS_AND_DIGEST = sql.SQL(
    "SELECT pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtextextended(ROW(one.*)::pg_catalog.text, 0))"
    " FROM {}{} AS one"
)
# What session.sql does not set, for nothing but a digest depends on it.
_ALIKE = (
    "SELECT pg_catalog.set_config('timezone', 'UTC', false), pg_catalog.set_config('lc_monetary', 'C', false),"
    " pg_catalog.set_config('bytea_output', 'hex', false)"
)


Row = tuple[Any, ...] | None


def plan_counts(tables: tuple[Table, ...]) -> list[tuple[Table, bool]]:
    """Each table once, with whether its own rows alone count; partitions that must be are counted as their root."""
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
    told: Mapping[int, int] | None = None,
) -> list[TableDifference]:
    """ROWS, or ROWS_AND_DIGEST, of every table, equal or not, in the order they were counted. Raises Stopped.

    `ends`: source and shadow. `told`: oid → rows, of every table; then the source is not asked again for them.
    """
    source, shadow = ends
    known = _sum_up(tables, told) if told is not None and count is ROWS else None
    waiting: queue.SimpleQueue[tuple[Table, bool]] = queue.SimpleQueue()
    planned = plan_counts(tables)
    for item in planned:
        waiting.put(item)
    counted: list[TableDifference] = []
    failed = threading.Event()

    def work() -> None:
        try:
            with (
                closing(_open_on_snapshot(source, snapshot)) if known is None else nullcontext() as origin,
                shadow.own_session("its rows were counted") as copy,
            ):
                copy.execute(_ALIKE)
                while not failed.is_set():
                    try:
                        table, own = waiting.get_nowait()
                    except queue.Empty:
                        return
                    statement = count.format(sql.SQL("ONLY " if own else ""), table.identifier)
                    at_source = _count_source(table, statement, origin) if origin else ((known or {})[table.oid],)
                    counted.append(_compare(table, statement, at_source, copy))
                    step()
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(max(1, min(jobs, len(planned)))) as pool:
        for future in [pool.submit(work) for _ in range(min(jobs, len(planned)))]:
            future.result()
    return counted


def _open_on_snapshot(source: Endpoint, snapshot: str) -> Connection:
    connection = open_source_connection(source)
    try:
        connection.execute(_ALIKE)
        connection.execute(BEGIN)
        connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
    except psycopg.Error as error:
        connection.close()
        raise ImportStopped(translate_source_error(error, "its snapshot was opened again to count rows")) from error
    return connection


def _sum_up(tables: tuple[Table, ...], told: Mapping[int, int]) -> dict[int, int]:
    """Rows of a root that others are counted through are those of all its partitions."""
    known = dict(told)
    for table in tables:
        if table.counted_as is not None and not table.partitioned:
            known[table.counted_as] = known.get(table.counted_as, 0) + told[table.oid]
    return known


def _count_source(table: Table, statement: sql.Composed, origin: Connection) -> Row:
    try:
        return origin.execute(statement).fetchone()
    except psycopg.Error as error:
        raise ImportStopped(translate_source_error(error, _doing(table))) from error


def _doing(table: Table) -> str:
    return f"the rows of {table.title} were counted"


def _compare(table: Table, statement: sql.Composed, at_source: Row, copy: Connection) -> TableDifference:
    try:
        in_copy = copy.execute(statement).fetchone()
    except psycopg.errors.UndefinedTable:
        in_copy = None
    except psycopg.Error as error:
        raise ImportStopped(translate_target_error(error, _doing(table))) from error
    return TableDifference(
        table=table.title,
        source_rows=at_source[0] if at_source else None,
        target_rows=in_copy[0] if in_copy else None,
        source_digest=_digest(at_source),
        target_digest=_digest(in_copy),
    )


def _digest(row: Row) -> str | None:
    """None also of no rows."""
    return str(row[1]) if row is not None and len(row) > 1 and row[1] is not None else None
