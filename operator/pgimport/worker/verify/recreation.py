"""Builds the statements that create a definition of the copy again from the source's text. Pure."""

import re
from collections.abc import Iterable, Iterator

from pgimport.worker.text import quote_name
from pgimport.worker.verify.definitions import NOT_VALID, Definition, Difference

VIEW_KINDS = frozenset({"view", "materialized view"})
_KINDS_OF_VIEWS = ("rule", "trigger", "default", "index")  # definitions that are dropped together with a view
_REPLACEABLE = {"CREATE RULE ": "CREATE OR REPLACE RULE ", "CREATE TRIGGER ": "CREATE OR REPLACE TRIGGER "}
_TRIGGER_STATES = {"D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}
_CHECK = re.compile(r' ADD CONSTRAINT (?:"(?:[^"]|"")+"|\S+) CHECK \(')


def name_for_comment(definition: Definition) -> str | None:
    """Returns the object as COMMENT and DROP name it, or None for a kind that needs no such name."""
    table = quote_name(definition.schema, definition.relation)
    name = quote_name(definition.name)
    match definition.kind:
        case "trigger" | "policy" | "rule":
            return f"{definition.kind.upper()} {name} ON {table}"
        case "constraint":
            return f"CONSTRAINT {name} ON {table}"
        case "domain constraint":
            return f"CONSTRAINT {name} ON DOMAIN {table}"
        case "index" | "statistics":
            return f"{definition.kind.upper()} {quote_name(definition.schema, definition.name)}"
        case _:
            return None


def build_recreation(difference: Difference) -> list[str] | None:
    """Returns the statements for the last of the search_paths, or None for a kind that cannot be created again.

    Views are replaced. A view whose columns change type needs `build_view_creation`.
    """
    source, statement = difference.source, difference.source.statements[-1]
    if statement is None:
        return None
    drop = [f"DROP {name_for_comment(source)}"] if difference.shadow is not None else []
    match source.kind:
        case "view" | "function" | "default" | "domain default" | "generated column":
            return [statement]
        case "rule" | "trigger":
            for create, replace in _REPLACEABLE.items():
                if statement.startswith(create):
                    return [replace + statement.removeprefix(create)]
            return [*drop, statement]
        case "policy" | "statistics":
            return [*drop, statement]
        case "index" if " ON ONLY " not in statement:
            return [*drop, statement]
        case "constraint" | "domain constraint":
            return _build_check(difference, statement)
        case _:
            return None


def _build_check(difference: Difference, statement: str) -> list[str] | None:
    """Keeps the validity of the copy's constraint, because the rows of the source may violate it."""
    source, shadow = difference.source, difference.shadow
    if shadow is None or _CHECK.search(statement) is None:
        return None
    owner = "DOMAIN" if source.kind == "domain constraint" else "TABLE"
    suffix = NOT_VALID if (shadow.statements[-1] or "").endswith(NOT_VALID) else ""
    relation = quote_name(source.schema, source.relation)
    return [
        f"ALTER {owner} {relation} DROP CONSTRAINT {quote_name(source.name)}",
        statement.removesuffix(NOT_VALID) + suffix,
    ]


def build_trigger_state(definition: Definition, state: str) -> list[str]:
    """Returns the statement that gives a new trigger this state of pg_trigger.tgenabled."""
    if state not in _TRIGGER_STATES:
        return []
    table, name = quote_name(definition.schema, definition.relation), quote_name(definition.name)
    return [f"ALTER TABLE {table} {_TRIGGER_STATES[state]} TRIGGER {name}"]


def build_view_creation(views: list[tuple[str, str, str]], source: Iterable[Definition]) -> list[str] | None:
    """Returns the statements that drop views and create them again with their rules, triggers, defaults and indexes.

    `views`: kind, schema and name of a view and those that depend on it, in the order in which they can be created.
    Returns None if the source does not have one of them.
    """
    own: dict[tuple[str, str], list[Definition]] = {}
    for item in source:
        own.setdefault((item.schema, item.relation), []).append(item)
    statements = [f"DROP {kind.upper()} {quote_name(schema, name)}" for kind, schema, name in reversed(views)]
    for kind, schema, name in views:
        parts = own.get((schema, name), [])
        creations = [item.statements[-1] for item in parts if item.kind == kind]
        creations += list(_list_parts(parts))
        if not creations or None in creations:
            return None
        statements += [statement for statement in creations if statement is not None]
    return statements


def _list_parts(parts: list[Definition]) -> Iterator[str | None]:
    for kind in _KINDS_OF_VIEWS:
        yield from (item.statements[-1] for item in parts if item.kind == kind)


def find_view_query(statement: str) -> str:
    """Returns the query of a view's statement as pg_get_viewdef prints it, without the semicolon."""
    return statement.partition(" AS  ")[2].removesuffix(" WITH NO DATA").rstrip(";")
