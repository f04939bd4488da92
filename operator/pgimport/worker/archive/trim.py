"""Removes defaults and CHECK constraints from the definition of a table or a domain. Pure.

pg_dump writes them into CREATE TABLE and CREATE DOMAIN. A part that needs a skipped object is removed, and the table is
imported with all its rows. CHECK constraints of tables are removed and added after the rows: a CHECK may read a table
whose rows come later, and the source's own rows may violate it.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from pgimport.worker.archive.sql_tokens import SqlToken, scan_tokens, split_items
from pgimport.worker.text import quote_name

DEFAULT, CHECK = "DEFAULT", "CHECK CONSTRAINT"
TABLE, DOMAIN = "TABLE", "DOMAIN"
_AFTER_DEFAULT = ("collate", "constraint", "not")  # the clauses that pg_dump writes after a column's default
# Strings within strings in which names are searched: a body that executes a text that creates a function needs 3.
_MAX_STRING_DEPTH = 8

ObjectName = tuple[str, str]  # schema, name


@dataclass(frozen=True, slots=True)
class TablePart:
    """A default, or a CHECK constraint, of a table or a domain."""

    kind: str
    name: str  # of the column or the constraint; empty for a domain's default
    tokens: tuple[SqlToken, ...]
    clause: str  # `DEFAULT 1`, or `CONSTRAINT c CHECK (…)`


def trim_definition(kind: str, definition: str, unwanted: Callable[[TablePart], bool]) -> tuple[str, list[TablePart]]:
    """Returns CREATE TABLE or CREATE DOMAIN without the unwanted parts, and the parts that were removed."""
    if kind == TABLE:
        return trim_table(definition, unwanted)
    return trim_domain(definition, unwanted) if kind == DOMAIN else (definition, [])


def trim_table(definition: str, unwanted: Callable[[TablePart], bool]) -> tuple[str, list[TablePart]]:
    """Returns CREATE TABLE without the unwanted parts, and the parts that were removed."""
    items = [item for item in split_items(scan_tokens(definition)) if item]
    kept: list[str] = []
    removed: list[TablePart] = []
    for item in items:
        begin, end, part = item[0].start, item[-1].end, _find_part(item, definition)
        if part is None or not unwanted(part):
            kept.append(definition[begin:end])
            continue
        removed.append(part)
        if part.kind == DEFAULT:
            kept.append(definition[begin : part.tokens[0].start].rstrip() + definition[part.tokens[-1].end : end])
    if not removed:
        return definition, []
    return definition[: items[0][0].start] + ",\n    ".join(kept) + definition[items[-1][-1].end :], removed


def trim_domain(definition: str, unwanted: Callable[[TablePart], bool]) -> tuple[str, list[TablePart]]:
    """Returns CREATE DOMAIN without the unwanted parts, and the parts that were removed."""
    removed = [part for part in _find_domain_parts(definition) if unwanted(part)]
    for part in reversed(removed):
        definition = definition[: part.tokens[0].start].rstrip() + definition[part.tokens[-1].end :]
    return definition, removed


def build_check_additions(name: ObjectName, parts: Iterable[TablePart]) -> str:
    """Returns one statement that adds CHECK constraints to an existing table."""
    return f"ALTER TABLE {quote_name(*name)} {', '.join(f'ADD {part.clause}' for part in parts)};"


def build_addition(kind: str, name: ObjectName, part: TablePart) -> str:
    """Returns the statement that adds a part to an existing table or domain."""
    if part.kind == CHECK:
        return f"ALTER {kind} {quote_name(*name)} ADD {part.clause};"
    if kind == DOMAIN:
        return f"ALTER DOMAIN {quote_name(*name)} SET {part.clause};"
    return f"ALTER TABLE ONLY {quote_name(*name)} ALTER COLUMN {quote_name(part.name)} SET {part.clause};"


def build_not_valid(statement: str) -> str:
    """Returns the statement that adds a constraint without a check of the existing rows."""
    return f"{statement.rstrip().rstrip(';')} NOT VALID;"


def _find_part(item: list[SqlToken], definition: str) -> TablePart | None:
    if item[0].is_("constraint") and len(item) > 2:
        if not item[2].is_("check"):
            return None  # NOT NULL, which PostgreSQL 18 names
        return _build_part(CHECK, item[1].text, item, definition)
    tokens = list(_find_default(item))
    return _build_part(DEFAULT, item[0].text, tokens, definition) if tokens else None


def _build_part(kind: str, name: str, tokens: list[SqlToken], definition: str) -> TablePart:
    return TablePart(kind, name, tuple(tokens), definition[tokens[0].start : tokens[-1].end])


def _find_domain_parts(definition: str) -> Iterator[TablePart]:
    """Yields the default and the CHECK constraints of CREATE DOMAIN, in their order."""
    begin, depth, tokens = 0, 0, list(scan_tokens(definition))
    for index, token in enumerate([*tokens, None]):
        depth -= token is not None and token.is_(")")
        ends = token is None or token.is_(";", "constraint") or (token.is_("not") and tokens[begin].is_("default"))
        if depth == 0 and ends:
            clause = tokens[begin:index]
            if clause and clause[0].is_("default"):
                yield _build_part(DEFAULT, "", clause, definition)
            elif len(clause) > 2 and clause[0].is_("constraint") and clause[2].is_("check"):
                yield _build_part(CHECK, clause[1].text, clause, definition)
            if token is None or token.is_(";"):
                return
            begin = index
        elif depth == 0 and token is not None and token.is_("default"):
            begin = index
        depth += token is not None and token.is_("(")


def _find_default(item: list[SqlToken]) -> Iterator[SqlToken]:
    """Yields the tokens of `DEFAULT x`, up to the next clause that pg_dump writes for a column."""
    depth, in_default = 0, False
    for token in item:
        depth -= token.is_(")")
        if depth == 0 and in_default and token.is_(*_AFTER_DEFAULT):
            return
        in_default = in_default or (depth == 0 and token is not item[0] and token.is_("default"))
        if in_default:
            yield token
        depth += token.is_("(")


def find_mentions(tokens: Iterable[SqlToken], depth: int = 0) -> set[ObjectName]:
    """Returns each `schema.name` among the tokens, also in strings, as in `nextval('public.s'::regclass)`.

    The name may be that of an operator, as in `OPERATOR(public.===)`. `depth`: number of strings around the tokens.
    """
    listed = list(tokens)
    mentions: set[ObjectName] = set()
    for index, token in enumerate(listed):
        if token.content and depth < _MAX_STRING_DEPTH:
            mentions |= find_mentions(scan_tokens(token.content), depth + 1)
        if 0 < index < len(listed) - 1 and token.is_("."):
            mentions.add((listed[index - 1].text, _join_name(listed, index + 1)))
    return mentions


def _join_name(tokens: list[SqlToken], index: int) -> str:
    """Returns the name that begins at a token. The name of an operator has one token for each letter."""
    name = tokens[index].text
    while _is_symbol(tokens[index]) and index + 1 < len(tokens) and _is_symbol(tokens[index + 1]):
        index += 1
        name += tokens[index].text
    return name


def _is_symbol(token: SqlToken) -> bool:
    return not token.quoted and token.text in set("+-*/<>=~!@#%^&|`?")


def mentions_name(tokens: Collection[SqlToken], names: Collection[ObjectName]) -> bool:
    """True if one of the names occurs among the tokens."""
    return not find_mentions(tokens).isdisjoint(names)
