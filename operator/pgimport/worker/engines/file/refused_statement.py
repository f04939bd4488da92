"""Decides what happens to a statement of plain SQL that the target refuses. Pure."""

from itertools import pairwise

from pgimport.model.import_choices import SkipGroup
from pgimport.model.result import SkippedObject
from pgimport.worker.archive.sql_tokens import parse_tokens
from pgimport.worker.archive.trim import CHECK
from pgimport.worker.engines.file.plain_statement import Statement
from pgimport.worker.engines.file.search_path import EMPTY_PATHS
from pgimport.worker.postgres.refusals import is_violation
from pgimport.worker.text import quote_text

_PATH, _SAVED_PATH = "search_path", "pgimport.search_path"


def describe_need(needed: SkippedObject) -> str:
    """Returns the reason to skip an object that needs a skipped one."""
    return f"it needs {needed.object}, which {'the target refused' if needed.sqlstate else 'is skipped'}"


def may_be_not_valid(statement: Statement, sqlstate: str) -> bool:
    """True for a foreign key or CHECK that was refused only because of rows.

    A function in a CHECK may raise any error.
    """
    kind = statement.subject.kind if statement.subject is not None else ""
    if statement.changes_object and ("add", "check") in pairwise(parse_tokens(statement.definition)):
        kind = CHECK  # without a name
    if statement.verb != "alter" or kind not in ("CHECK CONSTRAINT", "FK CONSTRAINT"):
        return False
    return is_violation(sqlstate) or (kind == "CHECK CONSTRAINT" and not sqlstate.startswith("42"))


def build_path_change(search_path: str) -> tuple[str, str]:
    """Returns two statements. The first sets another search_path if it is empty, and the second one restores it."""
    empty = ", ".join(map(quote_text, EMPTY_PATHS))
    enter = (
        f"SELECT pg_catalog.set_config('{_SAVED_PATH}', pg_catalog.current_setting('{_PATH}'), false),"
        f" pg_catalog.set_config('{_PATH}', CASE WHEN pg_catalog.current_setting('{_PATH}') IN ({empty})"
        f" THEN {quote_text(search_path)} ELSE pg_catalog.current_setting('{_PATH}') END, false);"
    )
    return enter, f"SELECT pg_catalog.set_config('{_PATH}', pg_catalog.current_setting('{_SAVED_PATH}'), false);"


def build_skipped(
    title: str, reason: str, group: SkipGroup, sqlstate: str, key: str | None = None, rows: int | None = None
) -> SkippedObject:
    return SkippedObject(object=title, reason=reason, group=group, sqlstate=sqlstate, offending_key=key, rows=rows)
