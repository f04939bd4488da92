"""Collects statistics of the copy's tables."""

import queue
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
from psycopg import sql

from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.refusals import build_refusal
from pgimport.worker.postgres.shadow import ShadowSessions
from pgimport.worker.report.progress_meter import ProgressMeter, Stage

RelationName = tuple[str, str]  # schema, name


def analyze_tables(
    shadow: ShadowSessions, jobs: int, meter: ProgressMeter, analyzed: Collection[RelationName] = ()
) -> list[str]:
    """Runs ANALYZE in `jobs` parallel sessions, except on tables that `analyzed` contains. Raises ImportStopped.

    Returns a note for each table whose ANALYZE the target refuses.
    """
    with shadow.session("its tables were listed") as connection:
        tables = [table for table in read_tables_to_analyze(connection) if table not in analyzed]
    meter.begin(Stage.ANALYZE, len(tables))
    return sorted(analyze_each(shadow, jobs, tables, meter.step).values())


def read_tables_to_analyze(connection: Connection) -> list[RelationName]:
    """Returns the tables that the connection's role may analyze, the largest first."""
    rows = connection.execute(read_query("finish/tables_to_analyze")).fetchall()
    return [(schema, name) for schema, name in rows]


def analyze_each(
    shadow: ShadowSessions, jobs: int, relations: Sequence[RelationName], report: Callable[[], None]
) -> dict[RelationName, str]:
    """Runs ANALYZE in `jobs` parallel sessions, and calls `report` after each relation. Raises ImportStopped.

    Returns the relations whose ANALYZE the target refuses, each with a note.
    """
    remaining: queue.SimpleQueue[RelationName] = queue.SimpleQueue()
    for relation in relations:
        remaining.put(relation)

    def analyze_remaining() -> None:
        with shadow.session("ANALYZE ran") as connection:
            while True:
                try:
                    relation = remaining.get_nowait()
                except queue.Empty:
                    return
                notes.update((relation, note) for note in analyze_relation(connection, relation))
                report()

    notes: dict[RelationName, str] = {}
    sessions = min(jobs, len(relations))
    if sessions == 0:
        return notes
    with ThreadPoolExecutor(sessions) as pool:
        for future in [pool.submit(analyze_remaining) for _ in range(sessions)]:
            future.result()
    return notes


def analyze_relation(connection: Connection, name: RelationName) -> list[str]:
    """Runs ANALYZE on a table or materialised view. Returns a note if the target refuses it. Raises psycopg.Error.

    ANALYZE calls the functions of expressions that an index or a statistics object contains. They may raise any error.
    """
    try:
        connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(*name)))
    except psycopg.Error as error:
        refusal = build_refusal(error)
        if connection.closed or refusal is None:
            raise
        return [f"{'.'.join(name)} has no statistics for the planner, because ANALYZE fails: {refusal.reason}"]
    return []
