"""Finds a row that violates a CHECK constraint: PostgreSQL's error does not name one."""

import psycopg
from psycopg import sql

from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query

_MAX_KEY = 300  # characters


def read_violating_key(connection: Connection, constraint: tuple[str, str, str]) -> str | None:
    """Returns the key of one row that violates a CHECK, or the whole row if its table has no primary key.

    `constraint`: schema, table or domain, and name. The constraint must exist. Raises psycopg.Error for a lost
    connection.
    """
    schema, owner, name = constraint
    try:
        rows = connection.execute(
            read_query("definitions/violated_check"), {"schema": schema, "owner": owner, "name": name}
        ).fetchall()
        for table_schema, table, columns, expression, value_column in rows:
            key = _find_row(connection, (table_schema, table), columns, expression, value_column)
            if key is not None:
                return key if len(key) <= _MAX_KEY else f"{key[: _MAX_KEY - 1]}…"
    except psycopg.Error:
        if connection.closed:
            raise
    return None


def _find_row(
    connection: Connection, table: tuple[str, str], columns: list[str], expression: str, value_column: str | None
) -> str | None:
    """Returns `(id)=(7)` of a row for which the expression is false. `value_column`: column that VALUE stands for."""
    names = [sql.SQL("t.{}::pg_catalog.text").format(sql.Identifier(column)) for column in columns]
    fields = sql.SQL(", ").join(names) if names else sql.SQL("t::pg_catalog.text")
    rows = sql.SQL("{}").format(sql.Identifier(*table))
    if value_column:
        rows = sql.SQL("(SELECT t.*, t.{} AS value FROM {} AS t)").format(sql.Identifier(value_column), rows)
    query = sql.SQL("SELECT {} FROM {} AS t WHERE NOT ({}) LIMIT 1").format(fields, rows, sql.SQL(expression))
    row = connection.execute(query).fetchone()
    if row is None:
        return None
    listed = ", ".join("null" if field is None else str(field) for field in row)
    return f"({', '.join(columns)})=({listed})" if columns else listed
