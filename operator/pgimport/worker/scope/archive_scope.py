"""Decides by name which entries of an archive are imported. Pure."""

from collections.abc import Iterable, Sequence

from pgimport.model.import_spec import Filter
from pgimport.model.order import Order
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import SkippedObject, SourceExtension
from pgimport.worker.archive.selection import ExclusionRule
from pgimport.worker.archive.sql_tokens import parse_tokens
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.shadow_state import ShadowState
from pgimport.worker.scope.extension_needs import collect_archive_needs
from pgimport.worker.scope.extensions import ExtensionContext, ExtensionSplit, split_extensions
from pgimport.worker.scope.patterns import (
    ANY_RELATION,
    EXCLUDED_ROWS,
    NameFilter,
    build_name_filter,
    find_exclusion,
    find_partitions,
    find_unmatched_extension,
    find_unmatched_pattern,
)
from pgimport.worker.scope.provider import detect_file_provider

_RELATION_KINDS = ("TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE", "FOREIGN TABLE")


def split_archive_extensions(
    order: Order, entries: Sequence[TocEntry], shadow: ShadowState | None = None
) -> ExtensionSplit:
    """Decides about the extensions of an archive. `shadow`: what the target has, known after the gate."""
    extensions = [
        SourceExtension(name=entry.tag, version="", schema_name=find_extension_schema(entry.definition))
        for entry in entries
        if entry.kind == "EXTENSION"
    ]
    schemas = [entry.tag for entry in entries if entry.kind == "SCHEMA"]
    provider = detect_file_provider(order, schemas, [item.name for item in extensions])
    return split_extensions(ExtensionContext(order, provider, collect_archive_needs(entries), shadow), extensions)


def build_exclusion_rule(order: Order, entries: Iterable[TocEntry], shadow: ShadowState | None = None) -> ExclusionRule:
    """Returns a function that gives the reason to exclude an entry, or None.

    `shadow`: what the target has, known after the gate.

    Raises ImportStopped for a filter with a pattern that matches nothing in the archive.
    """
    listed = list(entries)
    schemas = [entry.tag for entry in listed if entry.kind == "SCHEMA"] + ["public"]
    extensions = [entry.tag for entry in listed if entry.kind == "EXTENSION"]
    provider = detect_file_provider(order, schemas, extensions)
    skipped_extensions = split_archive_extensions(order, listed, shadow).skipped
    relations = [(entry.oid, entry.schema, entry.tag) for entry in listed if entry.kind in _RELATION_KINDS]
    if order.filter is not None and (
        pattern := find_unmatched_pattern(order.filter, schemas, relations)
        or find_unmatched_extension(order.filter, extensions)
    ):
        message = f"the dump holds nothing that spec.filter.{pattern} would match"
        raise ImportStopped(Failure(Reason.FILTER_INVALID, message))
    includes = build_name_filter(order.filter, ())
    rowless = _find_rowless_tables(listed, includes, build_name_filter(order.filter, (), rows=True))

    def find_reason(entry: TocEntry) -> str | None:
        schema = entry.tag if entry.kind == "SCHEMA" else entry.schema
        if entry.kind == "EXTENSION":
            return skipped_extensions.get(entry.tag)
        if schema in provider.schemas:
            return f"it belongs to {provider.title}"
        if order.filter is None or not schema:
            return None
        if entry.kind == "TABLE DATA":
            return EXCLUDED_ROWS if (schema, entry.tag) in rowless else None
        name = entry.tag if entry.kind in _RELATION_KINDS else ANY_RELATION
        return find_exclusion(order.filter, schema, name)

    return find_reason


def find_extension_schema(definition: str) -> str | None:
    """Returns the schema in CREATE EXTENSION, or None."""
    tokens = parse_tokens(definition)
    return tokens[tokens.index("schema") + 1] if "schema" in tokens[:-1] else None


def _find_rowless_tables(
    entries: list[TocEntry], includes: NameFilter, includes_rows: NameFilter
) -> set[tuple[str, str]]:
    """Returns schema and name of the tables, including partitions, that are imported without rows."""
    tables = {entry.dump_id: (entry.schema, entry.tag) for entry in entries if entry.kind == "TABLE"}
    rowless = {dump_id for dump_id, name in tables.items() if includes(*name) and not includes_rows(*name)}
    parents = {
        entry.dependencies[0]: entry.dependencies[1]
        for entry in entries
        if entry.kind == "TABLE ATTACH" and len(entry.dependencies) == 2
    }
    return {tables[dump_id] for dump_id in rowless | find_partitions(rowless, parents) if dump_id in tables}


def find_skipped_schemas(order: Order, schemas: Iterable[str] = (), extensions: Iterable[str] = ()) -> dict[str, str]:
    """Returns the schemas that belong to the source's provider, with the reason to skip them."""
    provider = detect_file_provider(order, schemas, extensions)
    return dict.fromkeys(sorted(provider.schemas), f"it belongs to {provider.title}")


def find_skipped_extension(order: Order, name: str, shadow: ShadowState) -> SkippedObject | None:
    """Returns an extension of plain SQL that the copy does not get, with the reason, or None for another one."""
    context = ExtensionContext(order, detect_file_provider(order, (), (name,)), None, shadow)
    skipped = split_extensions(context, [SourceExtension(name=name, version="")]).skipped_objects
    return skipped[0] if skipped else None


def refuse_filter_for_plain_sql(order: Order) -> None:
    """Raises ImportStopped if the order has a filter for names: plain SQL has no table of contents to choose from."""
    if order.filter is not None and order.filter != Filter(exclude_extensions=order.filter.exclude_extensions):
        message = "spec.filter can choose schemas and tables of a live source or an archive only: plain SQL comes whole"
        raise ImportStopped(Failure(Reason.FILTER_INVALID, message))
