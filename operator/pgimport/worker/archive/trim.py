"""A table's definition and what of it must go come in; the definition without those parts goes out. Pure.

pg_dump writes defaults and CHECK constraints into CREATE TABLE. Where one of them needs what stays behind, it stays
too, and the table comes with all its rows.
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
    words: tuple[SqlToken, ...]


def trim_table(definition: str, unwanted: Callable[[TablePart], bool]) -> tuple[str, list[TablePart]]:
    """What is left of CREATE TABLE, and what was taken out."""
    items = [item for item in _split_items(definition) if item]
    kept, taken = [], []
    for item in items:
        begin, end, part = item[0].start, item[-1].end, _find_part(item)
        if part is None or not unwanted(part):
            kept.append(definition[begin:end])
            continue
        taken.append(part)
        if part.kind == DEFAULT:
            kept.append(definition[begin : part.words[0].start].rstrip() + definition[part.words[-1].end : end])
    if not taken:
        return definition, []
    return definition[: items[0][0].start] + ",\n    ".join(kept) + definition[items[-1][-1].end :], taken


def _find_part(item: list[SqlToken]) -> TablePart | None:
    if item[0].is_("constraint"):
        return TablePart(CHECK, item[1].text, tuple(item))
    words = tuple(_find_default(item))
    return TablePart(DEFAULT, item[0].text, words) if words else None


def _split_items(definition: str) -> Iterator[list[SqlToken]]:
    """The words of each column and constraint: what the first pair of brackets holds, between its own commas."""
    depth, item = 0, list[SqlToken]()
    for word in scan_tokens(definition):
        if word.is_(")"):
            depth -= 1
            if depth == 0:
                break
        if depth == 1 and word.is_(","):
            yield item
            item = []
        elif depth:
            item.append(word)
        if word.is_("("):
            depth += 1
    yield item


def _find_default(item: list[SqlToken]) -> Iterator[SqlToken]:
    """`DEFAULT x` up to what else pg_dump says of a column."""
    depth, within = 0, False
    for word in item:
        depth -= word.is_(")")
        if depth == 0 and within and word.is_("collate", "constraint", "not"):
            return
        within = within or (depth == 0 and word.is_("default"))
        if within:
            yield word
        depth += word.is_("(")


def mentions(words: Collection[SqlToken], names: Collection[tuple[str, str]]) -> bool:
    """Whether one of these (schema, name) is named there, in a text too: `nextval('public.s'::regclass)`."""
    listed = [(word.text, word.quoted) for word in words]
    for at in range(len(listed) - 2):
        if listed[at + 1] == (".", False) and (listed[at][0], listed[at + 2][0]) in names:
            return True
    return any(word.content and mentions(list(scan_tokens(word.content)), names) for word in words)


def rewrite_definitions(contents: Path, changes: dict[str, str]) -> None:
    """In an archive's table of contents on our own disk. Definitions are not found twice: each names its object."""
    if not changes:
        return
    with contents.open("rb") as file:
        header, entries = parse_table_of_contents(file.read)
        codec = next((find_client_encoding_codec(one.definition) for one in entries if one.kind == ENCODING), UTF8)
    text = contents.read_bytes()
    for old, new in changes.items():
        text = text.replace(format_text(old, header, codec), format_text(new, header, codec), 1)
    contents.write_bytes(text)
