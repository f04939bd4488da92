"""Refreshes the materialised views of the copy."""

from collections.abc import Collection

import psycopg
from psycopg import sql

from pgimport.model.import_choices import SkipGroup
from pgimport.model.result import SkippedObject
from pgimport.worker.finish.analyze import analyze_relation
from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.server_errors import ServerError, read_server_error
from pgimport.worker.postgres.shadow import ShadowSessions

ViewName = tuple[str, str]  # schema, name


def read_populated_views(connection: Connection) -> set[ViewName]:
    """Returns the materialised views that hold rows. Raises psycopg.Error."""
    rows = connection.execute(read_query("finish/materialized_views"))
    return {(schema, name) for schema, name, populated in rows if populated}


def refresh_materialized_views(
    shadow: ShadowSessions, populated: Collection[ViewName]
) -> tuple[list[SkippedObject], list[str]]:
    """Refreshes the views that are `populated` at the source.

    Returns the views whose refresh the target refuses, and notes on those whose ANALYZE it refuses.

    While a view is not populated, views that read it fail. They are tried again after it. Raises ImportStopped.
    """
    with shadow.session("materialised views were refreshed") as connection:
        rows = connection.execute(read_query("finish/materialized_views")).fetchall()
        notes: list[str] = []
        empty = [(schema, name) for schema, name, filled in rows if not filled and (schema, name) in populated]
        while empty:
            errors = _refresh_each(connection, empty, notes)
            if len(errors) == len(empty):  # this round refreshed no view, so another round would not either
                return [_skip_content(view, error) for view, error in errors.items()], notes
            empty = list(errors)
    return [], notes


def _skip_content(view: ViewName, error: ServerError) -> SkippedObject:
    return SkippedObject(
        object=f"MATERIALIZED VIEW DATA {'.'.join(view)}",
        reason=f"the view exists without rows: {error.describe()}",
        group=SkipGroup.REFUSED,
        sqlstate=error.sqlstate,
    )


def _refresh_each(connection: Connection, views: list[ViewName], notes: list[str]) -> dict[ViewName, ServerError]:
    """Refreshes each view once and returns the server's error for each that failed. Adds notes on statistics."""
    errors: dict[ViewName, ServerError] = {}
    for view in views:
        try:
            connection.execute(sql.SQL("REFRESH MATERIALIZED VIEW {}").format(sql.Identifier(*view)))
        except psycopg.Error as error:
            if connection.closed:
                raise
            errors[view] = read_server_error(error)
            continue
        notes += analyze_relation(connection, view)
    return errors
