"""Decides which objects of a live source are imported.

Excludes the provider's own schemas and extensions, what `spec.filter` excludes, and everything that depends on them
according to the source's catalogs.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from pgimport.model.order import Order
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import SkippedObject, SourceExtension
from pgimport.worker.archive.selection import PG_ATTRDEF, PG_CLASS, PG_CONSTRAINT, Exclusions
from pgimport.worker.postgres.endpoints import Connection, Endpoint
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.shadow_state import ShadowState
from pgimport.worker.scope.database_settings import build_live_properties
from pgimport.worker.scope.extension_needs import collect_needs
from pgimport.worker.scope.extensions import ExtensionContext, ExtensionSplit, split_extensions
from pgimport.worker.scope.patterns import (
    ANY_RELATION,
    NameFilter,
    build_name_filter,
    find_exclusion,
    find_partitions,
    find_unmatched_extension,
    find_unmatched_pattern,
)
from pgimport.worker.scope.provider import SIGN_PARAMETERS, detect_provider

ObjectKey = tuple[int, int]  # oid of the catalog, oid of the object
PartKey = tuple[int, str, str]  # oid of the table, kind of the part, name
Relation = tuple[int, str, str]  # oid, schema, name
UNREADABLE = "it is unlogged, so a standby cannot read it"


@dataclass(frozen=True, slots=True)
class SourceScope:
    """Holds what is not imported from a source."""

    excluded: dict[ObjectKey, str] = field(default_factory=dict)  # object → reason
    table_parts: dict[PartKey, str] = field(default_factory=dict)  # defaults and constraints → reason
    schemas: tuple[str, ...] = ()  # excluded with all their objects
    relations: tuple[tuple[str, str], ...] = ()  # schema and name of excluded relations of other schemas
    rowless: frozenset[int] = frozenset()  # oids of tables that are imported without rows
    rowless_names: tuple[tuple[str, str], ...] = ()  # schema and name of the same tables
    # Partitioned table → title of an excluded partition of it, at any depth
    undumped_partitions: Mapping[tuple[str, str], str] = field(default_factory=dict)
    skipped: tuple[SkippedObject, ...] = ()  # settings of the database
    unavailable_extensions: frozenset[str] = frozenset()  # skipped ones; what needs them counts as refused

    def excludes(self, oid: int) -> bool:
        """True for a relation that is not imported."""
        return (PG_CLASS, oid) in self.excluded

    def dump_options(self) -> list[str]:
        """Returns options by which pg_dump excludes these objects: it could not lock what its user cannot read."""
        return [
            *(f"--exclude-schema={_quote_pattern(name)}" for name in self.schemas),
            *(f"--exclude-table={_quote_pattern(schema)}.{_quote_pattern(name)}" for schema, name in self.relations),
            *(
                f"--exclude-table-data={_quote_pattern(schema)}.{_quote_pattern(name)}"
                for schema, name in self.rowless_names
            ),
        ]


def _quote_pattern(name: str) -> str:
    """Returns a pattern for pg_dump that matches only this name."""
    return '"' + name.replace('"', '""') + '"'


def read_scope(source: Connection, order: Order, endpoint: Endpoint, shadow: ShadowState | None = None) -> SourceScope:
    """Reads the scope. Raises psycopg.Error, and ImportStopped for a filter with a pattern that matches nothing.

    `shadow`: what the target has, known after the gate.
    """
    with source.pipeline():  # one round trip for all queries
        sign_cursor = source.execute(read_query("scope/provider_signs"), SIGN_PARAMETERS)
        extension_cursor = source.execute(read_query("scope/extensions"))
        need_cursor = source.execute(read_query("scope/extension_needs"))
        setting_cursor = source.execute(read_query("scope/database_settings"))
        relation_cursor = source.execute(read_query("scope/relations"))
    relation_rows = relation_cursor.fetchall()
    extensions = [
        SourceExtension(name=name, version=version, schema_name=schema)
        for name, version, schema, _ in extension_cursor.fetchall()
    ]
    provider = detect_provider(order, endpoint.host, sign_cursor.fetchall(), [item.name for item in extensions])
    relations: list[Relation] = [(int(oid), schema, name) for oid, schema, name, _, _ in relation_rows]
    if order.filter is not None and (
        pattern := find_unmatched_pattern(order.filter, provider.schemas, relations, endpoint.user)
        or find_unmatched_extension(order.filter, [item.name for item in extensions])
    ):
        message = f"the source holds nothing that spec.filter.{pattern} would match"
        raise ImportStopped(Failure(Reason.FILTER_INVALID, message))
    includes = build_name_filter(order.filter, provider.own_schemas, endpoint.user)
    needs = collect_needs(need_cursor.fetchall(), includes, provider.own_schemas)
    split = split_extensions(ExtensionContext(order, provider.rules, needs, shadow), extensions)
    includes_rows = build_name_filter(order.filter, provider.own_schemas, endpoint.user, rows=True)
    excluded_schemas = {
        schema
        for schema in provider.schemas
        if schema in provider.own_schemas or (order.filter is not None and not includes(schema, ANY_RELATION))
    }
    unreadable = {oid for oid, _, _, _, is_unreadable in relation_rows if is_unreadable}
    excluded_relations = [
        relation
        for relation in relations
        if relation[1] not in excluded_schemas and (relation[0] in unreadable or not includes(relation[1], relation[2]))
    ]
    parents = {oid: parent for oid, _, _, parent, _ in relation_rows if parent is not None}
    rowless = _find_rowless(relations, parents, includes, includes_rows)
    own = f"it belongs to {provider.rules.title}"
    schema_reasons = {
        schema: own if schema in provider.own_schemas else find_exclusion(order.filter, schema, ANY_RELATION) or own
        for schema in excluded_schemas
    }
    relation_reasons = {
        oid: find_exclusion(order.filter, schema, name, endpoint.user) or UNREADABLE
        for oid, schema, name in excluded_relations
    }
    excluded = _find_excluded(source, schema_reasons, split.roots, relation_reasons)
    excluded |= _read_extension_keys(source, split)
    return SourceScope(
        excluded=excluded,
        table_parts=_read_table_parts(source, excluded),
        schemas=tuple(sorted(excluded_schemas)),
        relations=tuple((schema, name) for _, schema, name in excluded_relations),
        undumped_partitions=_find_undumped_partitions(relations, parents, excluded),
        rowless=frozenset(rowless),
        rowless_names=tuple((schema, name) for oid, schema, name in relations if oid in rowless),
        skipped=tuple(build_live_properties(setting_cursor.fetchall()).skipped),
        unavailable_extensions=split.unavailable,
    )


def _read_extension_keys(source: Connection, split: ExtensionSplit) -> dict[ObjectKey, str]:
    """Returns the skipped extensions themselves, with their reasons.

    Objects that need one are tried at the target, unless the extension is one of `split.roots`.
    """
    if not split.skipped:
        return {}
    statement = "SELECT tableoid::bigint, oid::bigint, extname::text FROM pg_catalog.pg_extension"
    return {
        (catalog, oid): split.skipped[name] for catalog, oid, name in source.execute(statement) if name in split.skipped
    }


def _find_rowless(
    relations: list[Relation], parents: dict[int, int], includes: NameFilter, includes_rows: NameFilter
) -> set[int]:
    """Returns oids of the tables, including partitions, that are imported without rows. Pure."""
    rowless = {oid for oid, schema, name in relations if includes(schema, name) and not includes_rows(schema, name)}
    return rowless | find_partitions(rowless, parents)


def _find_undumped_partitions(
    relations: list[Relation], parents: dict[int, int], excluded: Mapping[ObjectKey, str]
) -> dict[tuple[str, str], str]:
    """Returns for each partitioned table an excluded partition of it, at any depth. Pure."""
    names = {oid: (schema, name) for oid, schema, name in relations}
    partitions: dict[tuple[str, str], str] = {}
    for oid in parents:
        ancestor = parents.get(oid) if (PG_CLASS, oid) in excluded else None
        while ancestor is not None:
            partitions.setdefault(names[ancestor], f"TABLE {'.'.join(names[oid])}")
            ancestor = parents.get(ancestor)
    return partitions


def _find_excluded(
    source: Connection,
    schemas: Mapping[str, str],
    extensions: Collection[str],
    relations: Mapping[int, str],
) -> dict[ObjectKey, str]:
    """Returns the given objects and everything that depends on them, with the reason of each.

    `schemas`: name → reason. `relations`: oid → reason.
    """
    if not schemas and not extensions and not relations:
        return {}
    parameters = {
        "schemas": sorted(schemas),
        "extensions": sorted(extensions),
        "relations": list(relations),
    }
    excluded = {
        (int(catalog), int(oid)): f"it needs {title}, which is skipped"
        for catalog, oid, title in source.execute(read_query("scope/excluded_objects"), parameters)
    }
    excluded |= {(PG_CLASS, oid): reason for oid, reason in relations.items()}
    statement = "SELECT tableoid::bigint, oid::bigint, nspname::text FROM pg_catalog.pg_namespace"
    return excluded | {
        (catalog, oid): schemas[name] for catalog, oid, name in source.execute(statement) if name in schemas
    }


def _read_table_parts(source: Connection, excluded: dict[ObjectKey, str]) -> dict[PartKey, str]:
    """Returns excluded defaults and CHECK constraints of tables that are imported, with the reason of each."""
    parameters = {
        "defaults": [oid for catalog, oid in excluded if catalog == PG_ATTRDEF],
        "checks": [oid for catalog, oid in excluded if catalog == PG_CONSTRAINT],
    }
    if not any(parameters.values()):
        return {}
    return {
        (table, kind, name): excluded[catalog, oid]
        for table, kind, name, catalog, oid in source.execute(read_query("scope/excluded_table_parts"), parameters)
    }


def read_exclusions(shadow: Connection, scope: SourceScope, *, with_sequence_values: bool = False) -> Exclusions:
    """Builds exclusions from the scope and from what the shadow already contains. Raises psycopg.Error."""
    return Exclusions(
        present_schemas=frozenset(str(name) for _, name in shadow.execute(read_query("scope/target_schemas"))),
        target_roles=frozenset(str(name) for (name,) in shadow.execute(read_query("scope/target_roles"))),
        objects=scope.excluded,
        table_parts=scope.table_parts,
        with_sequence_values=with_sequence_values,
        undumped_partitions=scope.undumped_partitions,
        unavailable_extensions=scope.unavailable_extensions,
        rowless_tables=frozenset(scope.rowless_names),
    )


def read_undumped_objects(source: Connection) -> list[SkippedObject]:
    """Returns objects of kinds that pg_dump is told to leave out, such as publications. Raises psycopg.Error."""
    return [
        SkippedObject(object=name, reason=reason)
        for name, reason in source.execute(read_query("scope/undumped_objects"))
    ]


def read_excluded_objects(source: Connection, scope: SourceScope) -> dict[ObjectKey, SkippedObject]:
    """Returns the excluded objects with their titles. pg_dump leaves most of them out of its archive.

    Raises psycopg.Error.
    """
    if not scope.excluded:
        return {}
    parameters = {"catalogs": [catalog for catalog, _ in scope.excluded], "oids": [oid for _, oid in scope.excluded]}
    return {
        (catalog, oid): SkippedObject(object=title, reason=scope.excluded[catalog, oid])
        for catalog, oid, title in source.execute(read_query("scope/excluded_titles"), parameters)
    }
