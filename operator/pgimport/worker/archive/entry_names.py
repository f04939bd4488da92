"""Names of entries as expressions and reports write them, and properties of their definitions. Pure."""

from collections.abc import Iterable
from itertools import pairwise

from pgimport.worker.archive.sql_tokens import find_top_level_tokens, scan_tokens
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.archive.trim import DOMAIN, TABLE, ObjectName, TablePart

TABLE_ATTACH = "TABLE ATTACH"  # makes a table a partition
ROUTINES = frozenset({"AGGREGATE", "FUNCTION", "PROCEDURE"})


def part_title(entry: TocEntry, part: TablePart) -> str:
    """Returns `CHECK CONSTRAINT public.orders positive` or `DEFAULT public.orders id`."""
    return f"{part.kind} {entry.schema}.{entry.tag} {part.name}".rstrip()


def describe_refused_entry(entry: TocEntry, reason: str) -> str:
    """Returns the reason of a skipped entry. Of a partition that is not attached, it adds where the rows are."""
    return describe_detached(entry.schema, entry.tag, reason) if entry.kind == TABLE_ATTACH else reason


def describe_detached(schema: str, table: str, reason: str) -> str:
    return f"{reason}; {schema}.{table} is a table of its own in the copy, with its rows"


def find_object_name(entry: TocEntry) -> ObjectName | None:
    """Returns schema and name as an expression mentions them, or None for an object that no expression mentions."""
    if not entry.schema:
        return None
    name = entry.tag.partition("(")[0] if entry.kind in ROUTINES else entry.tag
    return entry.schema, name


def find_containers(entries: Iterable[TocEntry]) -> frozenset[int]:
    """Returns the dump ids of domains that are part of another type: no CHECK can be added to them after the rows."""
    listed = list(entries)
    domains = {entry.dump_id: entry for entry in listed if entry.kind == DOMAIN}
    inside: set[int] = set()
    for entry in listed if domains else ():
        used = [domains[dump_id] for dump_id in entry.dependencies if dump_id in domains]
        if entry.kind in ("TYPE", DOMAIN):
            inside |= {domain.dump_id for domain in used}
        elif entry.kind == TABLE:
            arrays = _find_array_types(entry) if used else set()
            inside |= {domain.dump_id for domain in used if domain.tag in arrays}
    return frozenset(inside)


def _find_array_types(entry: TocEntry) -> set[str]:
    """Returns the names before each `[` of a definition."""
    tokens = list(scan_tokens(entry.definition))
    return {token.text for token, following in pairwise(tokens) if following.is_("[")}


def find_partitions(entries: Iterable[TocEntry]) -> dict[ObjectName, list[TocEntry]]:
    """Returns the entries of the partitions of each partitioned table, which an archive attaches to it later."""
    listed = list(entries)
    tables = {entry.dump_id: entry for entry in listed if entry.kind == TABLE}
    partitions: dict[ObjectName, list[TocEntry]] = {}
    for entry in listed:
        if entry.kind != "TABLE ATTACH":
            continue
        attached = [tables[dump_id] for dump_id in entry.dependencies if dump_id in tables]
        children = [table for table in attached if (table.schema, table.tag) == (entry.schema, entry.tag)]
        for parent in attached:
            if parent not in children:
                partitions.setdefault((parent.schema, parent.tag), []).extend(children)
    return partitions


def has_cast(part: TablePart) -> bool:
    texts = [token.text for token in part.tokens]
    return any(first == second == ":" for first, second in pairwise(texts))


def is_sql_function(definition: str) -> bool:
    tokens = list(find_top_level_tokens(scan_tokens(definition)))
    return any(token.is_("language") and following.text == "sql" for token, following in pairwise(tokens))
