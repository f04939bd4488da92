"""Compares the rows of a copy with those of the dump file that it was restored from."""

from collections.abc import Iterable

import psycopg
from psycopg import sql

from pgimport.model.result import SkippedObject, TableDifference
from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.verify.findings import Findings

_IS_PARTITIONED = (
    "SELECT c.relkind = 'p' FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n"
    " ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s"
)

_TITLES_WITH_KEYS = ("TABLE ", "INDEX ", "CONSTRAINT ", "FK CONSTRAINT ")


def compare_row_count(shadow: Connection, schema: str, table: str, file_rows: int, findings: Findings) -> None:
    """Compares the row count of one table with that of its COPY data in the file. Raises psycopg.Error."""
    row = shadow.execute(_IS_PARTITIONED, [schema, table]).fetchone()
    only = sql.SQL("" if row and row[0] else "ONLY ")
    try:
        count_row = shadow.execute(
            sql.SQL("SELECT pg_catalog.count(*) FROM {}{}").format(only, sql.Identifier(schema, table))
        ).fetchone()
    except psycopg.errors.UndefinedTable:
        count_row = None
    add_row_count(f"{schema}.{table}", file_rows, int(count_row[0]) if count_row else None, findings)


def add_row_count(table: str, file_rows: int, rows: int | None, findings: Findings) -> None:
    """Adds the row counts of one table in file and copy. Pure otherwise."""
    findings.tables += 1
    findings.rows += rows or 0
    if rows != file_rows:
        findings.unequal_tables.append(TableDifference(table=table, source_rows=file_rows, target_rows=rows))


def describe_partial_dump(shadow: Connection, skipped: Iterable[SkippedObject], *, has_rows: bool) -> list[str]:
    """Returns a note if the dump contains no rows or no keys. The dump itself does not say that they are missing.

    Keys that the copy lacks because they were skipped, alone or with their table, are no reason. Raises psycopg.Error.
    """
    tables, keys = shadow.execute(read_query("verify/content_totals")).fetchone() or (0, 0)
    if not tables:
        return []
    missing = [] if has_rows else ["no rows of any table"]
    if not keys and not any(item.object.startswith(_TITLES_WITH_KEYS) for item in skipped):
        missing.append("no indexes and no keys")
    explanation = "as one made with --schema-only, --section or --data-only does"
    return [f"the dump holds {' and '.join(missing)}, {explanation}"] if missing else []
