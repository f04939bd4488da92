"""What part of an archive is meant: the order and the entries come in, a judge by name goes out. Pure."""

from collections.abc import Iterable

from pgimport.model.order import Order
from pgimport.model.providers import find_provider
from pgimport.model.reasons import Failure, Reason
from pgimport.worker.archive.selection import ExclusionRule
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.scope.patterns import NameFilter, build_name_filter, find_partitions, find_unmatched_pattern

_RELATIONS = ("TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE", "FOREIGN TABLE")
_FILTERED = "spec.filter leaves it out"
ROWLESS = "spec.filter wants it without its rows"


def build_exclusion_rule(order: Order, entries: Iterable[TocEntry]) -> ExclusionRule:
    """Raises Stopped for a filter that means nothing in this archive."""
    listed = list(entries)
    provider = find_provider(None, None, order.provider)
    extensions = provider.extensions - set(order.allowed_extensions)
    schemas = [entry.tag for entry in listed if entry.kind == "SCHEMA"] + ["public"]
    relations = [(entry.oid, entry.schema, entry.tag) for entry in listed if entry.kind in _RELATIONS]
    if order.filter is not None and (unmatched := find_unmatched_pattern(order.filter, schemas, relations)):
        raise ImportStopped(
            Failure(Reason.FILTER_INVALID, f"spec.filter: the dump holds nothing that {unmatched} would match")
        )
    shapes, rows = (build_name_filter(order.filter, (), rows=only) for only in (False, True))
    rowless = _find_rowless(listed, shapes, rows)

    def judge(entry: TocEntry) -> str | None:
        schema = entry.tag if entry.kind == "SCHEMA" else entry.schema
        if schema in provider.schemas or (entry.kind == "EXTENSION" and entry.tag in extensions):
            return f"it belongs to {provider.title}"
        if order.filter is None or not schema:
            return None
        if entry.kind == "TABLE DATA":
            return ROWLESS if (schema, entry.tag) in rowless else None
        wanted = shapes(schema, entry.tag if entry.kind in _RELATIONS else "\x00")
        return None if wanted else _FILTERED

    return judge


def _find_rowless(entries: list[TocEntry], shapes: NameFilter, rows: NameFilter) -> set[tuple[str, str]]:
    """Tables that come without their rows, with their partitions."""
    tables = {entry.dump_id: (entry.schema, entry.tag) for entry in entries if entry.kind == "TABLE"}
    chosen = {number for number, name in tables.items() if shapes(*name) and not rows(*name)}
    parents = {
        entry.dependencies[0]: entry.dependencies[1]
        for entry in entries
        if entry.kind == "TABLE ATTACH" and len(entry.dependencies) == 2
    }
    return {tables[number] for number in chosen | find_partitions(chosen, parents) if number in tables}


def refuse_filter_for_plain_sql(order: Order) -> None:
    """Plain SQL has no table of contents to choose from. Raises Stopped."""
    if order.filter is not None:
        raise ImportStopped(
            Failure(Reason.FILTER_INVALID, "spec.filter needs a live source or an archive: plain SQL comes whole")
        )
