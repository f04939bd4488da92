"""Recreates objects of the copy whose definition means something else than at the source.

An object is recreated with the search_path of the source's text, which contains the schemas of operators. What still
differs afterwards is returned.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.server_errors import describe_message
from pgimport.worker.verify.definitions import (
    KINDS,
    Definition,
    DefinitionList,
    Difference,
    find_differences,
    read_definitions,
)
from pgimport.worker.verify.recreation import (
    VIEW_KINDS,
    build_recreation,
    build_trigger_state,
    build_view_creation,
    find_view_query,
    name_for_comment,
)

_FUNCTION = "SELECT pg_catalog.pg_get_functiondef(%s::bigint::pg_catalog.oid)"
_VIEW = "SELECT pg_catalog.pg_get_viewdef('pg_temp.compared'::pg_catalog.regclass)"


@dataclass(slots=True)
class Settlement:
    """What was created again, and what still differs."""

    recreated: list[str] = field(default_factory=list)  # titles
    differences: list[Difference] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)  # title → why it could not be created again
    compared: tuple[Definition, ...] = ()


def settle_definitions(
    shadow: Connection,
    source: DefinitionList,
    expected: Sequence[Definition],
    *,
    kinds: Collection[str] = KINDS,
) -> Settlement:
    """Compares the expected definitions with the copy's, and creates again what differs. Raises psycopg.Error."""
    compared = tuple(item for item in expected if item.kind in kinds)
    settlement = Settlement(compared=compared)
    settlement.differences = _compare(shadow, source, compared, kinds)
    if not settlement.differences:
        return settlement
    differing = {difference.source.title for difference in settlement.differences}
    settlement.errors = _recreate(shadow, source, settlement.differences)
    settlement.differences = _compare(shadow, source, compared, kinds)
    remaining = {difference.source.title for difference in settlement.differences}
    settlement.recreated = sorted(differing - remaining)
    return settlement


def _compare(
    shadow: Connection,
    source: DefinitionList,
    expected: Sequence[Definition],
    kinds: Collection[str],
) -> list[Difference]:
    differences = find_differences(expected, read_definitions(shadow, source.search_paths, kinds))
    if not differences:
        return differences
    with _rolled_back(shadow):
        return [item for item in differences if not _prints_equal(shadow, source.search_paths, item)]


def _prints_equal(shadow: Connection, search_paths: tuple[str, ...], difference: Difference) -> bool:
    """Returns whether this server prints the source's text as it prints the copy's definition.

    Servers of two majors print some views and functions differently. Even one server does: it prints the view
    `v (a) AS VALUES (1)` in another form after it has read its own text. Runs in a transaction that is rolled back.
    """
    source, copy = difference.source, difference.shadow
    statement = source.statements[-1]
    if (
        copy is None
        or statement is None
        or copy.operators != source.operators
        or source.kind not in (*VIEW_KINDS, "function")
    ):
        return False
    try:
        with _rolled_back(shadow):
            _set_search_path(shadow, search_paths[-1])
            if source.kind == "function":
                shadow.execute(statement.encode())
                printed = [_read_text(shadow, path, _FUNCTION, [copy.oid]) for path in search_paths]
                return printed == list(copy.statements)
            shadow.execute(f"CREATE TEMPORARY VIEW compared AS {find_view_query(statement)}".encode())
            printed = [_read_text(shadow, path, _VIEW, []).strip().rstrip(";") for path in search_paths]
            return printed == [find_view_query(text or "") for text in copy.statements]
    except psycopg.Error:
        if shadow.closed:
            raise
        return False
    finally:
        _set_search_path(shadow, "")


def _recreate(shadow: Connection, source: DefinitionList, differences: list[Difference]) -> dict[str, str]:
    """Creates each definition again, each in a transaction of its own, and returns the errors by title."""
    errors: dict[str, str] = {}
    for difference in differences:
        try:
            _recreate_one(shadow, source, difference)
        except psycopg.Error as error:
            if shadow.closed:
                raise
            errors[difference.source.title] = describe_message(error)
        finally:
            _set_search_path(shadow, "")
    return errors


def _recreate_one(shadow: Connection, source: DefinitionList, difference: Difference) -> None:
    statements = build_recreation(difference)
    is_view = difference.source.kind in VIEW_KINDS and difference.shadow is not None
    if statements is not None:
        try:
            _execute(shadow, source.search_paths[-1], difference, statements)
            return
        except psycopg.Error:
            if not is_view or shadow.closed:
                raise
    if is_view:
        _recreate_views(shadow, source, difference)


def _execute(shadow: Connection, search_path: str, difference: Difference, statements: list[str]) -> None:
    """Runs the statements, and keeps the comment of the object and the state of a trigger."""
    copy = difference.shadow
    name = name_for_comment(difference.source)
    with shadow.transaction():
        comment, state = _read_properties(shadow, copy) if copy is not None else (None, "")
        _set_search_path(shadow, search_path)
        for statement in [*statements, *build_trigger_state(difference.source, state)]:
            shadow.execute(statement.encode())
        if comment is not None and name is not None:
            shadow.execute(sql.SQL("COMMENT ON {} IS {}").format(sql.SQL(name), sql.Literal(comment)))


def _read_properties(shadow: Connection, copy: Definition) -> tuple[str | None, str]:
    """Returns the comment of an object, and the state of a trigger."""
    row = shadow.execute(
        "SELECT (SELECT description FROM pg_catalog.pg_description"
        " WHERE classoid = %(catalog)s::bigint::pg_catalog.oid AND objoid = %(oid)s::bigint::pg_catalog.oid"
        " AND objsubid = 0),"
        " (SELECT tgenabled::text FROM pg_catalog.pg_trigger WHERE oid = %(oid)s::bigint::pg_catalog.oid)",
        {"catalog": copy.catalog, "oid": copy.oid},
    ).fetchone()
    comment, state = row or (None, None)
    return comment, (state or "") if copy.kind == "trigger" else ""


def _recreate_views(shadow: Connection, source: DefinitionList, difference: Difference) -> None:
    """Drops the view and the views that depend on it, and creates all of them again, with their parts and comments."""
    copy = difference.shadow
    assert copy is not None  # noqa: S101 (the caller checks it)
    views = shadow.execute(read_query("verify/dependent_views"), {"oid": copy.oid}).fetchall()
    statements = build_view_creation([row[:3] for row in views], source.definitions)
    if statements is None:
        return
    oids = [row[3] for row in views]
    with shadow.transaction():
        comments = [text for (text,) in shadow.execute(read_query("verify/comments_of_views"), {"oids": oids})]
        _set_search_path(shadow, source.search_paths[-1])
        for statement in [*statements, *comments]:
            shadow.execute(statement.encode())


def _set_search_path(connection: Connection, search_path: str) -> None:
    connection.execute("SELECT pg_catalog.set_config('search_path', %s, false)", [search_path])


def _read_text(shadow: Connection, search_path: str, query: str, parameters: list[int]) -> str:
    _set_search_path(shadow, search_path)
    row = shadow.execute(query.encode(), parameters or None).fetchone()
    return str(row[0]) if row else ""


@contextmanager
def _rolled_back(connection: Connection) -> Iterator[None]:
    """Runs the block in a transaction or savepoint that is always rolled back."""
    with connection.transaction() as transaction:
        yield
        raise psycopg.Rollback(transaction)
