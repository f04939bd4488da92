"""Removes defaults and constraints from the definition of a table or a domain. Pure.

pg_dump writes defaults and CHECKs into CREATE TABLE and CREATE DOMAIN, and people also write foreign keys there. A part
that needs a skipped object is removed, and the table is imported with all its rows. CHECKs of an archive's tables are
removed and added after the rows: a CHECK may read a table whose rows come later, and the source's own rows may violate
it.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from pgimport.worker.archive.constraint_names import ConstraintNames
from pgimport.worker.archive.sql_tokens import (
    SqlToken,
    is_column,
    remove_comments,
    scan_tokens,
    split_clauses,
    split_columns,
    split_items,
)
from pgimport.worker.text import quote_name

DEFAULT, CHECK, FOREIGN_KEY, CONSTRAINT = "DEFAULT", "CHECK CONSTRAINT", "FK CONSTRAINT", "CONSTRAINT"
TABLE, DOMAIN = "TABLE", "DOMAIN"
# First word of a part, behind its name → its kind. Other clauses belong to the column itself.
_KINDS = {
    "check": CHECK,
    "default": DEFAULT,
    "exclude": CONSTRAINT,
    "foreign": FOREIGN_KEY,
    "references": FOREIGN_KEY,
}
# Strings within strings in which names are searched: a body that executes a text that creates a function needs 3.
_MAX_STRING_DEPTH = 8

ObjectName = tuple[str, str]  # schema, name


@dataclass(frozen=True, slots=True)
class TablePart:
    """A default or a constraint of a table or a domain."""

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
    text = remove_comments(definition)
    tokens = list(scan_tokens(text))
    items = [item for item in split_items(tokens) if item]
    names = ConstraintNames(_find_name(tokens), [column[0].text for column in split_columns(tokens)])
    kept: list[str] = []
    removed: list[TablePart] = []
    for item in items:
        cut = [part for part in _find_parts(item, text, names) if unwanted(part)]
        removed += cut
        if not cut or is_column(item):
            kept.append(_cut(text, item[0].start, item[-1].end, cut))
    if not removed:
        return definition, []
    return text[: items[0][0].start] + ",\n    ".join(kept) + text[items[-1][-1].end :], removed


def trim_domain(definition: str, unwanted: Callable[[TablePart], bool]) -> tuple[str, list[TablePart]]:
    """Returns CREATE DOMAIN without the unwanted parts, and the parts that were removed."""
    text = remove_comments(definition)
    tokens = list(scan_tokens(text))
    statement = tokens[:-1] if tokens and tokens[-1].is_(";") else tokens
    names = ConstraintNames(_find_name(tokens), [])
    parts = (_find_part(clause, "", text, names) for clause in split_clauses(statement))
    removed = [part for part in parts if part is not None and unwanted(part)]
    return (_cut(text, 0, len(text), removed), removed) if removed else (definition, [])


def trim_added_column(definition: str) -> tuple[str, list[TablePart]]:
    """Returns `ALTER TABLE t ADD COLUMN c …` without its default and constraints, and these. Other texts stay."""
    text = remove_comments(definition)
    tokens = list(scan_tokens(text))
    begin = next((index for index, token in enumerate(tokens) if token.is_("add")), len(tokens)) + 1
    for words in (("column",), ("if", "not", "exists")):
        if [token.text for token in tokens[begin : begin + len(words)]] == list(words):
            begin += len(words)
    column = tokens[begin:-1] if tokens and tokens[-1].is_(";") else tokens[begin:]
    if not column or not is_column(column):
        return definition, []
    parts = list(_find_parts(column, text, ConstraintNames(_find_name(tokens), [column[0].text])))
    return (_cut(text, 0, len(text), parts), parts) if parts else (definition, [])


def _cut(text: str, begin: int, end: int, parts: Iterable[TablePart]) -> str:
    """Returns the text between two positions without the parts."""
    kept = ""
    for part in parts:
        kept += text[begin : part.tokens[0].start].rstrip()
        begin = part.tokens[-1].end
    return kept + text[begin:end]


def build_check_additions(name: ObjectName, parts: Iterable[TablePart]) -> str:
    """Returns one statement that adds CHECK constraints to an existing table."""
    return f"ALTER TABLE {quote_name(*name)} {', '.join(f'ADD {part.clause}' for part in parts)};"


def build_addition(kind: str, name: ObjectName, part: TablePart) -> str:
    """Returns the statement that adds a part to an existing table or domain."""
    if part.kind != DEFAULT:
        return f"ALTER {kind} {quote_name(*name)} ADD {part.clause};"
    if kind == DOMAIN:
        return f"ALTER DOMAIN {quote_name(*name)} SET {part.clause};"
    return f"ALTER TABLE ONLY {quote_name(*name)} ALTER COLUMN {quote_name(part.name)} SET {part.clause};"


def build_not_valid(statement: str) -> str:
    """Returns the statement that adds a constraint without a check of the existing rows."""
    return f"{statement.rstrip().rstrip(';')} NOT VALID;"


def _find_parts(item: list[SqlToken], text: str, names: ConstraintNames) -> Iterator[TablePart]:
    """Yields the parts of a column, or the table's constraint that the item is."""
    clauses = split_clauses(item) if is_column(item) else [item]
    column = text[item[0].start : item[0].end] if is_column(item) else ""
    for clause in clauses:
        if (part := _find_part(clause, column, text, names)) is not None:
            yield part


def _find_part(clause: list[SqlToken], column: str, text: str, names: ConstraintNames) -> TablePart | None:
    """Returns the part that a clause is, or None. `column`: as the text writes it; empty outside of a column."""
    is_named = clause[0].is_("constraint") and len(clause) > 2
    body = clause[2:] if is_named else clause
    kind = None if body[0].quoted else _KINDS.get(body[0].text)
    if kind is None or (kind == DEFAULT and is_named):
        return None
    words = text[body[0].start : body[-1].end]
    if kind == DEFAULT:
        return TablePart(kind, next(scan_tokens(column)).text if column else "", tuple(clause), words)
    if body[0].is_("references"):
        words = f"FOREIGN KEY ({column}) {words}"
    name = clause[1].text if is_named else names.choose([*scan_tokens(words)])
    written = text[clause[1].start : clause[1].end] if is_named else quote_name(name)
    return TablePart(kind, name, tuple(clause), f"CONSTRAINT {written} {words}")


def _find_name(tokens: list[SqlToken]) -> str:
    """Returns the name, without its schema, in `CREATE TABLE IF NOT EXISTS s.t (` or `ALTER TABLE ONLY s.t ADD`."""
    begin = next((index for index, token in enumerate(tokens) if token.is_("table", "domain")), 0) + 1
    while len(tokens) > begin + 1 and tokens[begin].is_("if", "not", "exists", "only"):
        begin += 1
    if len(tokens) > begin + 2 and tokens[begin + 1].is_("."):
        begin += 2
    return tokens[begin].text if len(tokens) > begin else ""


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
