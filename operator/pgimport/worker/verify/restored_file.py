"""Compares the rows of a copy with those of the dump file that it was restored from."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

from pgimport.model.result import SkippedObject, TableDifference
from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.text import count_of, some_of
from pgimport.worker.verify.findings import Findings

_IS_PARTITIONED = (
    "SELECT c.relkind = 'p' FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n"
    " ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s"
)

Name = tuple[str, str]  # schema, table
NAMES_IN_A_MESSAGE = 5
_TITLES_WITH_KEYS = ("TABLE ", "INDEX ", "CONSTRAINT ", "FK CONSTRAINT ")


@dataclass(frozen=True, slots=True)
class FileRows:
    """The rows of a dump file. Names are pairs of schema and table."""

    counts: Mapping[Name, int]  # rows of each table's COPYs
    uncounted: Collection[Name]  # tables that also get rows that are not counted
    row_change: str | None = None  # statement that may have changed rows


def compare_file_rows(shadow: Connection, rows: FileRows, findings: Findings, step: Callable[[], None]) -> None:
    """Compares the row count of each table with that of its COPYs in the file. Raises psycopg.Error.

    `step` is called after each table.
    """
    above: dict[Name, set[Name]] = {}
    for schema, name, above_schema, above_name in shadow.execute(read_query("verify/partition_ancestors")):
        above.setdefault((schema, name), set()).add((above_schema, above_name))
    expected, unknown = plan_file_counts(rows, above)
    for (schema, table), file_rows in expected.items():
        count = _count_rows(shadow, schema, table)
        if count != file_rows and rows.row_change is not None:
            copied = "no such table" if count is None else f"{count} rows"
            findings.not_compared.append(
                f"rows of {schema}.{table}: the dump copies {file_rows} rows into it, and the copy has {copied}."
                f" {rows.row_change} may have changed them"
            )
        else:
            add_row_count(f"{schema}.{table}", file_rows, count, findings)
        step()
    if unknown:
        names = some_of([".".join(name) for name in unknown], NAMES_IN_A_MESSAGE)
        findings.not_compared.append(
            f"rows of {count_of(len(unknown), 'table')} ({names}): the dump does not tell their number, because"
            " they come from INSERT, CREATE TABLE AS, a COPY with options, or through a partitioned table"
        )


def plan_file_counts(rows: FileRows, above: Mapping[Name, Collection[Name]]) -> tuple[dict[Name, int], list[Name]]:
    """Returns the number of rows that each table must have, and the tables of which the file does not tell it. Pure.

    `above`: partition → the partitioned tables above it. Rows of a partitioned table are in its partitions, and rows of
    a partition count for the tables above it.
    """
    filled = {*rows.counts, *rows.uncounted}
    unknown = {*rows.uncounted, *(name for name in filled if not filled.isdisjoint(above.get(name, ())))}
    unknown |= {name for partition in rows.uncounted for name in above.get(partition, ()) if name in filled}
    expected = {name: count for name, count in rows.counts.items() if name not in unknown}
    for partition, count in rows.counts.items():
        for name in above.get(partition, ()):
            if name in expected:
                expected[name] += count
    return expected, sorted(unknown)


def _count_rows(shadow: Connection, schema: str, table: str) -> int | None:
    row = shadow.execute(_IS_PARTITIONED, [schema, table]).fetchone()
    only = sql.SQL("" if row and row[0] else "ONLY ")
    query = sql.SQL("SELECT pg_catalog.count(*) FROM {}{}").format(only, sql.Identifier(schema, table))
    try:
        count_row = shadow.execute(query).fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    return int(count_row[0]) if count_row else None


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
