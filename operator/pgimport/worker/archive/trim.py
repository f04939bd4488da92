"""Removes defaults and CHECK constraints from the definition of a table.

pg_dump writes them into CREATE TABLE. If one of them needs a skipped object, it is removed, and the table is imported
with all its rows.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from pgimport.worker.archive.sql_tokens import SqlToken, scan_tokens
from pgimport.worker.archive.toc import ENCODING, format_text, parse_table_of_contents
from pgimport.worker.postgres.encodings import UTF8, find_client_encoding_codec

DEFAULT, CHECK = "DEFAULT", "CHECK CONSTRAINT"


@dataclass(frozen=True, slots=True)
class TablePart:
    """A column's default, or a constraint."""

    kind: str
    name: str  # of the column or the constraint
    tokens: tuple[SqlToken, ...]


def trim_table(definition: str, unwanted: Callable[[TablePart], bool]) -> tuple[str, list[TablePart]]:
    """Returns CREATE TABLE without the unwanted parts, and the parts that were removed. Pure."""
    items = [item for item in _split_items(definition) if item]
    kept: list[str] = []
    removed: list[TablePart] = []
    for item in items:
        begin, end, part = item[0].start, item[-1].end, _find_part(item)
        if part is None or not unwanted(part):
            kept.append(definition[begin:end])
            continue
        removed.append(part)
        if part.kind == DEFAULT:
            kept.append(definition[begin : part.tokens[0].start].rstrip() + definition[part.tokens[-1].end : end])
    if not removed:
        return definition, []
    return definition[: items[0][0].start] + ",\n    ".join(kept) + definition[items[-1][-1].end :], removed


def _find_part(item: list[SqlToken]) -> TablePart | None:
    if item[0].is_("constraint"):
        return TablePart(CHECK, item[1].text, tuple(item))
    tokens = tuple(_find_default(item))
    return TablePart(DEFAULT, item[0].text, tokens) if tokens else None


def _split_items(definition: str) -> Iterator[list[SqlToken]]:
    """Yields the tokens of each column and constraint, which are the comma-separated items in the first parentheses."""
    depth, item = 0, list[SqlToken]()
    for token in scan_tokens(definition):
        if token.is_(")"):
            depth -= 1
            if depth == 0:
                break
        if depth == 1 and token.is_(","):
            yield item
            item = []
        elif depth:
            item.append(token)
        if token.is_("("):
            depth += 1
    yield item


def _find_default(item: list[SqlToken]) -> Iterator[SqlToken]:
    """Yields the tokens of `DEFAULT x`, up to the next clause that pg_dump writes for a column."""
    depth, in_default = 0, False
    for token in item:
        depth -= token.is_(")")
        if depth == 0 and in_default and token.is_("collate", "constraint", "not"):
            return
        in_default = in_default or (depth == 0 and token.is_("default"))
        if in_default:
            yield token
        depth += token.is_("(")


def mentions_name(tokens: Collection[SqlToken], names: Collection[tuple[str, str]]) -> bool:
    """True if a name (schema, name) occurs as a token or in a string, as in `nextval('public.s'::regclass)`. Pure."""
    pairs = [(token.text, token.quoted) for token in tokens]
    for index in range(len(pairs) - 2):
        if pairs[index + 1] == (".", False) and (pairs[index][0], pairs[index + 2][0]) in names:
            return True
    return any(token.content and mentions_name(list(scan_tokens(token.content)), names) for token in tokens)


def rewrite_definitions(archive: Path, changes: dict[str, str]) -> None:
    """Replaces definitions in an archive's table of contents on disk. Each occurs once, as it contains its name."""
    if not changes:
        return
    with archive.open("rb") as file:
        header, entries = parse_table_of_contents(file.read)
        codec = next(
            (find_client_encoding_codec(entry.definition) for entry in entries if entry.kind == ENCODING), UTF8
        )
    content = archive.read_bytes()
    for old, new in changes.items():
        content = content.replace(format_text(old, header, codec), format_text(new, header, codec), 1)
    archive.write_bytes(content)
