"""The statements of a step: tables and columns come in, SQL goes out. Pure."""

from pgimport.worker.engines.relay.relay_plan import RowsStep, TableCopy
from pgimport.worker.scope.snapshot import BEGIN, Table
from pgimport.worker.text import quote_name

# Both ends of a stream, besides what pg_dump sets: else money is written by one locale and read by another.
SESSION_SETTINGS = "SET lc_monetary = 'C'"


def build_snapshot_import(snapshot: str) -> str:
    """One round trip for all that a stream says before it reads: nothing in it is a query, which none may precede."""
    return f"{SESSION_SETTINGS}; {BEGIN}; SET TRANSACTION SNAPSHOT '{snapshot}'"


def build_step_begin(step: RowsStep) -> str:
    """What makes a step repeatable, and lets COPY freeze: it begins with empty tables, in its own transaction."""
    if step.root is not None:
        return f"BEGIN; TRUNCATE {_quote(step.root)}"
    return f"BEGIN; TRUNCATE {', '.join(f'ONLY {_quote(rows.table)}' for rows in step.tables)}"


def build_copy_out(rows: TableCopy, *, binary: bool = False) -> str:
    """COPY of a table never takes the rows of those that inherit from it."""
    return f"COPY {_quote(rows.table)}{_columns(rows)} TO STDOUT{_options('FORMAT binary' if binary else '')}"


def build_copy_in(rows: TableCopy, through: Table | None, *, binary: bool = False) -> str:
    """A partitioned table cannot be frozen through its root."""
    options = _options("FORMAT binary" if binary else "", "" if through else "FREEZE")
    return f"COPY {_quote(through or rows.table)}{_columns(rows)} FROM STDIN{options}"


def _options(*options: str) -> str:
    given = ", ".join(option for option in options if option)
    return f" ({given})" if given else ""


def _quote(table: Table) -> str:
    return quote_name(table.schema, table.name)


def _columns(rows: TableCopy) -> str:
    """A table may have none, and there is no way to say so."""
    return f" ({', '.join(quote_name(name) for name in rows.columns)})" if rows.columns else ""
