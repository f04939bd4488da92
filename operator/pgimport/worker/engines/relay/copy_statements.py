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
    options = _options("FORMAT binary" if binary else "")
    if binary and table_copy.text_columns:
        return f"COPY ({_select_with_text(table_copy)}) TO STDOUT{options}"
    return f"COPY {_quote(table_copy.table)}{_columns(table_copy)} TO STDOUT{options}"


def build_copy_in(table_copy: TableCopy, root: Table | None, *, binary: bool = False) -> str:
    """Builds the shadow's COPY. PostgreSQL refuses FREEZE on a partitioned table."""
    if binary and table_copy.text_columns:
        return f"COPY {_staging(table_copy)} FROM STDIN (FORMAT binary)"
    options = _options("FORMAT binary" if binary else "", "" if root else "FREEZE")
    return f"COPY {_quote(root or table_copy.table)}{_columns(table_copy)} FROM STDIN{options}"


def build_staging(table_copy: TableCopy) -> str:
    """Creates the temporary table that a binary COPY writes. It has text columns for types with oids."""
    return (
        f"CREATE TEMPORARY TABLE {_staging(table_copy)} ON COMMIT DROP AS {_select_with_text(table_copy)} WITH NO DATA"
    )


def build_staging_transfer(table_copy: TableCopy, root: Table | None) -> str:
    """Moves the rows from the temporary table into the table, and turns text into the column types."""
    values = ", ".join(
        f"{quote_name(name)}::{table_copy.text_columns[name]}" if name in table_copy.text_columns else quote_name(name)
        for name in table_copy.columns
    )
    return (
        f"INSERT INTO {_quote(root or table_copy.table)}{_columns(table_copy)} OVERRIDING SYSTEM VALUE"  # noqa: S608
        f" SELECT {values} FROM {_staging(table_copy)}"
    )


def _staging(table_copy: TableCopy) -> str:
    return f"pg_temp.pgimport_{table_copy.table.oid}"


def _select_with_text(table_copy: TableCopy) -> str:
    values = ", ".join(
        f"{quote_name(name)}::pg_catalog.text AS {quote_name(name)}"
        if name in table_copy.text_columns
        else quote_name(name)
        for name in table_copy.columns
    )
    return f"SELECT {values} FROM ONLY {_quote(table_copy.table)}"  # noqa: S608


def _options(*options: str) -> str:
    non_empty = ", ".join(option for option in options if option)
    return f" ({non_empty})" if non_empty else ""


def _quote(table: Table) -> str:
    return quote_name(table.schema, table.name)


def _columns(table_copy: TableCopy) -> str:
    """Returns the column list, or nothing for a table without columns: COPY has no syntax for an empty list."""
    return f" ({', '.join(quote_name(name) for name in table_copy.columns)})" if table_copy.columns else ""
