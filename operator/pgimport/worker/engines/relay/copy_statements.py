"""Builds the SQL statements with which a stream copies a step. Pure."""

from pgimport.worker.engines.relay.relay_plan import RowsStep, TableCopy
from pgimport.worker.scope.snapshot import BEGIN, Table
from pgimport.worker.text import quote_name


def build_snapshot_import(snapshot: str) -> str:
    """Builds the statements that a stream sends before its first COPY, as one query and so in one round trip.

    SET TRANSACTION SNAPSHOT must come before any query of its transaction.
    """
    return f"{BEGIN}; SET TRANSACTION SNAPSHOT '{snapshot}'"


def build_step_begin(step: RowsStep) -> str:
    """Begins a transaction and truncates the tables, so that a step can be repeated and COPY can use FREEZE."""
    if step.root is not None:
        return f"BEGIN; TRUNCATE {_quote(step.root)}"
    return f"BEGIN; TRUNCATE {', '.join(f'ONLY {_quote(table_copy.table)}' for table_copy in step.tables)}"


def build_copy_out(table_copy: TableCopy, *, binary: bool = False) -> str:
    """Builds the source's COPY. It sends the table's own rows, without those of inheritance children."""
    return (
        f"COPY {_quote(table_copy.table)}{_columns(table_copy)} TO STDOUT{_options('FORMAT binary' if binary else '')}"
    )


def build_copy_in(table_copy: TableCopy, root: Table | None, *, binary: bool = False) -> str:
    """Builds the shadow's COPY. PostgreSQL refuses FREEZE on a partitioned table."""
    options = _options("FORMAT binary" if binary else "", "" if root else "FREEZE")
    return f"COPY {_quote(root or table_copy.table)}{_columns(table_copy)} FROM STDIN{options}"


def _options(*options: str) -> str:
    non_empty = ", ".join(option for option in options if option)
    return f" ({non_empty})" if non_empty else ""


def _quote(table: Table) -> str:
    return quote_name(table.schema, table.name)


def _columns(table_copy: TableCopy) -> str:
    """Returns the column list, or nothing for a table without columns: COPY has no syntax for an empty list."""
    return f" ({', '.join(quote_name(name) for name in table_copy.columns)})" if table_copy.columns else ""
