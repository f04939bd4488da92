"""Collects statistics of the copy's tables."""

import queue
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from psycopg import sql

from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.shadow import ShadowSessions
from pgimport.worker.report.progress_meter import ProgressMeter, Stage


def analyze_tables(
    shadow: ShadowSessions, jobs: int, meter: ProgressMeter, analyzed: Collection[tuple[str, str]] = ()
) -> None:
    """Runs ANALYZE in `jobs` parallel sessions, except on tables that `analyzed` contains. Raises ImportStopped."""
    with shadow.session("its tables were listed") as connection:
        rows = connection.execute(read_query("finish/tables_to_analyze")).fetchall()
    tables = [(schema, name) for schema, name in rows if (schema, name) not in analyzed]
    meter.begin(Stage.ANALYZE, len(tables))
    remaining: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    for table in tables:
        remaining.put(table)

    def analyze_remaining() -> None:
        with shadow.session("ANALYZE ran") as connection:
            while True:
                try:
                    table = remaining.get_nowait()
                except queue.Empty:
                    return
                connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(*table)))
                meter.step()

    sessions = min(jobs, len(tables))
    if sessions == 0:
        return
    with ThreadPoolExecutor(sessions) as pool:
        for future in [pool.submit(analyze_remaining) for _ in range(sessions)]:
            future.result()
