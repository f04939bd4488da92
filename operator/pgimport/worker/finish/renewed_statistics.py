"""Renews the planner's statistics after the SQL of spec.postImport.

ANALYZE stores samples of the rows, which the owner of the copy can read in `pg_stats`. Those of before the SQL contain
the original values.
"""

from collections.abc import Collection

import psycopg

from pgimport.worker.finish.analyze import RelationName, analyze_each, read_tables_to_analyze
from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.shadow import ShadowSessions
from pgimport.worker.report.progress_meter import ProgressMeter

FIRST_WITH_CLEAR = 180000  # pg_clear_attribute_stats
NAMED = 5


def renew_statistics(
    shadow: ShadowSessions, jobs: int, meter: ProgressMeter, views: Collection[RelationName]
) -> list[str]:
    """Runs ANALYZE on all tables and on these materialised views. Raises ImportStopped.

    Returns a note on relations that still have statistics of rows from before.
    """
    with shadow.session("its tables were listed") as connection:
        tables = read_tables_to_analyze(connection)
    refused = analyze_each(shadow, jobs, [*tables, *views], meter.report_work)
    with shadow.session("statistics of deleted rows were removed") as connection:
        # ANALYZE keeps the statistics of a relation in which it finds no row, or an error.
        clear = _clear if connection.info.server_version >= FIRST_WITH_CLEAR else _change_types
        for relation in [*refused, *_read_emptied(connection, hidden=True)]:
            clear(connection, relation)
            meter.report_work()
        for relation in _read_emptied(connection):  # for example those of CREATE STATISTICS
            _change_types(connection, relation)
            meter.report_work()
        return _describe([".".join(relation) for relation in _read_emptied(connection)])


def _read_emptied(connection: Connection, *, hidden: bool = False) -> list[RelationName]:
    """Returns the relations without rows that have statistics. `hidden`: also those that may have hidden ones."""
    rows = connection.execute(read_query("finish/emptied_relations"), {"hidden": hidden}).fetchall()
    return [(schema, name) for schema, name in rows]


def _clear(connection: Connection, relation: RelationName) -> None:
    _try(connection, read_query("finish/clear_statistics"), relation)


def _change_types(connection: Connection, relation: RelationName) -> None:
    """Changes the type of each column to the type that it has. This removes the statistics, in every version."""
    statements = connection.execute(read_query("finish/unchanged_types"), relation).fetchall()
    for (statement,) in statements:
        _try(connection, statement.encode())


def _try(connection: Connection, statement: bytes, values: RelationName | None = None) -> None:
    """Executes the statement if the server allows it. It refuses a new type if a view reads the column."""
    try:
        connection.execute(statement, values)
    except psycopg.Error:
        if connection.closed:
            raise


def _describe(relations: list[str]) -> list[str]:
    if not relations:
        return []
    names, more = ", ".join(relations[:NAMED]), len(relations) - NAMED
    return [
        f"no rows are left after the SQL of spec.postImport, but pg_stats shows values of them: {names}"
        f"{f' and {more} more' if more > 0 else ''}. Leave the rows out by filter.excludeTableData instead"
    ]
