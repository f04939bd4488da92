"""Changes CREATE SCHEMA and DROP SCHEMA of plain SQL into statements that can run one by one. Pure."""

from collections.abc import Collection
from itertools import pairwise

from pgimport.worker.archive.sql_tokens import SqlToken, find_top_level_tokens, scan_tokens
from pgimport.worker.engines.file.name_changes import parse_name_changes
from pgimport.worker.engines.file.search_path import SearchPath
from pgimport.worker.engines.file.token_reader import TokenReader
from pgimport.worker.text import quote_name

# Elements of CREATE SCHEMA in the order in which PostgreSQL creates them.
_ELEMENTS = ("sequence", "table", "view", "index", "trigger", "grant")
_SESSION_ROLES = frozenset({"current_role", "current_user", "session_user"})


def split_create_schema(statement: str, path: SearchPath, path_setting: str) -> list[str]:
    """Returns CREATE SCHEMA without its owner, and a statement for each of its elements.

    PostgreSQL would refuse the whole statement for one refused element or an absent owner. `path_setting`: statement
    that sets the search path after them.
    """
    tokens = list(scan_tokens(statement))
    reader = TokenReader(tokens, 2, path)
    is_tolerant = reader.skip("if", "not", "exists")
    name = "" if reader.is_("authorization") else reader.word()
    if reader.skip("authorization"):
        role = reader.word()
        if role in _SESSION_ROLES:
            return [statement]
        name = name or role
    elements = _split_elements(statement, tokens[reader.at :])
    has_owner = any(token.is_("authorization") for token in tokens[:7])
    if is_tolerant if elements else not has_owner:  # PostgreSQL refuses IF NOT EXISTS with elements
        return [statement]
    created = f"CREATE SCHEMA {'IF NOT EXISTS ' if is_tolerant else ''}{quote_name(name)};"
    if not elements:
        return [created]
    schemas = ", ".join(quote_name(schema) for schema in (name, *path.schemas))
    return [created, f"SET search_path = {schemas};", *elements, path_setting]


def keep_schemas(statement: str, present: Collection[str]) -> str | None:
    """Returns DROP SCHEMA without the schemas that stay, or None if none is left."""
    names = [change.old[1] for change in parse_name_changes(statement, SearchPath())]
    dropped = [quote_name(name) for name in names if name not in present]
    if len(dropped) == len(names):
        return statement
    words = [token.text for token in scan_tokens(statement)]
    head = "DROP SCHEMA IF EXISTS" if "exists" in words[:4] else "DROP SCHEMA"
    return f"{head} {', '.join(dropped)}{' CASCADE' if 'cascade' in words[-2:] else ''};" if dropped else None


def _split_elements(statement: str, tokens: list[SqlToken]) -> list[str]:
    starts = [token.start for token in find_top_level_tokens(tokens) if token.is_("create", "grant")]
    borders = [*starts, len(statement.rstrip().rstrip(";"))]
    texts = [f"{statement[start:end].rstrip()};" for start, end in pairwise(borders)]
    return sorted(texts, key=_find_rank)


def _find_rank(element: str) -> int:
    words = [token.text for token in scan_tokens(element)][:6]
    return next((rank for rank, kind in enumerate(_ELEMENTS) if kind in words), len(_ELEMENTS))
