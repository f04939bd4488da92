"""What the clients do not do in the new database: sequences' positions, statistics, materialised views."""

import queue
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

import psycopg
from psycopg import sql

from pgimport.worker.engines.pg_restore import ImportRun
from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.errors import ImportStopped, first_line, translate_source_error
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.shadow import shadow_connection
from pgimport.worker.report.progress import Stage
from pgimport.worker.scope.snapshot import Sequence, Snapshot


def set_sequences(run: ImportRun, sequences: tuple[Sequence, ...]) -> None:
    """Put every sequence where its twin stood: read after the snapshot, so never behind the rows. Raises Stopped."""
    if not sequences:
        return
    with shadow_connection(run.shadow, "sequences were set") as shadow, shadow.cursor() as cursor:
        cursor.executemany(
            "SELECT pg_catalog.setval(c.oid, %(value)s, %(called)s) FROM pg_catalog.pg_class AS c"
            " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND c.relkind = 'S'",
            [
                {"schema": item.schema, "name": item.name, "value": item.last_value, "called": item.is_called}
                for item in sequences
            ],
        )


def analyze_tables(run: ImportRun, done: Collection[tuple[str, str]] = ()) -> None:
    """Fresh statistics for every table that has none yet, as its owner. Raises Stopped."""
    with shadow_connection(run.shadow, "its tables were listed") as shadow:
        listed = shadow.execute(read_query("finish/tables_to_analyze")).fetchall()
    tables = [(schema, name) for schema, name in listed if (schema, name) not in done]
    run.meter.begin(Stage.ANALYZE, len(tables))
    waiting: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    for table in tables:
        waiting.put(table)

    def work() -> None:
        with shadow_connection(run.shadow, "ANALYZE ran") as shadow:
            while True:
                try:
                    table = waiting.get_nowait()
                except queue.Empty:
                    return
                shadow.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(*table)))
                run.meter.step()

    workers = min(run.jobs, len(tables))
    if workers == 0:
        return
    with ThreadPoolExecutor(workers) as pool:
        for future in [pool.submit(work) for _ in range(workers)]:
            future.result()


def read_filled(snapshot: Snapshot) -> set[tuple[str, str]]:
    """Materialised views that are filled at the source: schema and name. Raises Stopped."""
    try:
        listed = snapshot.connection.execute(read_query("finish/materialized_views")).fetchall()
    except psycopg.Error as error:
        raise ImportStopped(translate_source_error(error, "its materialised views were listed")) from error
    return {(schema, name) for schema, name, populated in listed if populated}


def refresh_materialized_views(run: ImportRun, filled: Collection[tuple[str, str]]) -> list[str]:
    """Fill those that are filled at the source; returns a note for each that cannot be. Raises Stopped."""
    notes: list[str] = []
    with shadow_connection(run.shadow, "materialised views were refreshed") as shadow:
        found = shadow.execute(read_query("finish/materialized_views")).fetchall()
        waiting = [(schema, name) for schema, name, populated in found if not populated and (schema, name) in filled]
        while waiting:
            refused = _refresh(shadow, waiting)
            if len(refused) == len(waiting):  # nothing more becomes possible
                notes = [f"materialised view {s}.{n} was not refreshed: {why}" for (s, n), why in refused.items()]
                break
            waiting = list(refused)
    return notes


def _refresh(shadow: Connection, views: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """One round; one that reads another that is still empty fails in it and comes again in the next."""
    refused: dict[tuple[str, str], str] = {}
    for view in views:
        try:
            shadow.execute(sql.SQL("REFRESH MATERIALIZED VIEW {}").format(sql.Identifier(*view)))
            shadow.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(*view)))
        except psycopg.Error as error:
            if shadow.closed:
                raise
            refused[view] = f"{first_line(error)} (SQLSTATE {error.sqlstate})"
    return refused
