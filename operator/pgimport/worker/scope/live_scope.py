"""What part of a live source is meant: its catalogues and the order come in; what stays behind, and why, goes out.

The provider's own schemas and extensions stay, and what `spec.filter` does not want; so does everything that depends
on them, as the source's own catalogues tell it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pgimport.model.order import Order
from pgimport.model.providers import ALL_FINGERPRINTS, ProviderFingerprint, find_provider, find_provider_schemas
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import SkippedObject, SourceExtension
from pgimport.worker.archive.selection import PG_ATTRDEF, PG_CLASS, PG_CONSTRAINT, Exclusions
from pgimport.worker.postgres.endpoints import Connection, Endpoint
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.scope.extensions import split_extensions
from pgimport.worker.scope.patterns import NameFilter, build_name_filter, find_partitions, find_unmatched_pattern

_FILTERED = "spec.filter leaves it out"


@dataclass(frozen=True, slots=True)
class SourceScope:
    """What is meant of a source."""

    excluded: dict[tuple[int, int], str] = field(default_factory=dict)  # (catalog, oid) → why it stays
    parts: dict[tuple[int, str, str], str] = field(default_factory=dict)  # oid of a table, kind, name → why
    schemas: tuple[str, ...] = ()  # whole ones that stay
    relations: tuple[tuple[str, str], ...] = ()  # single ones that stay: schema, name
    rowless: frozenset[int] = frozenset()  # oids of tables that come without their rows
    rowless_names: tuple[tuple[str, str], ...] = ()

    def excludes(self, oid: int) -> bool:
        """A relation."""
        return (PG_CLASS, oid) in self.excluded

    def dump_options(self) -> list[str]:
        """pg_dump must not even lock what stays: its user may not be allowed to."""
        return [
            *(f"--exclude-schema={_quote(name)}" for name in self.schemas),
            *(f"--exclude-table={_quote(schema)}.{_quote(name)}" for schema, name in self.relations),
            *(f"--exclude-table-data={_quote(schema)}.{_quote(name)}" for schema, name in self.rowless_names),
        ]


def _quote(name: str) -> str:
    """A pattern of pg_dump that means this name alone."""
    return '"' + name.replace('"', '""') + '"'


def read_scope(source: Connection, order: Order, endpoint: Endpoint) -> SourceScope:
    """Raises psycopg.Error; Stopped for a filter that means nothing."""
    known = {"roles": sorted(ALL_FINGERPRINTS.roles), "settings": sorted(ALL_FINGERPRINTS.settings)}
    with source.pipeline():  # one round trip for all three
        asked = source.execute(read_query("scope/provider_signs"), known)
        extensions = source.execute(read_query("scope/extensions"))
        relations_asked = source.execute(read_query("scope/relations"))
    found, listed = asked.fetchall(), relations_asked.fetchall()
    installed = [
        SourceExtension(name=name, version=version, schema_name=schema)
        for name, version, schema, _ in extensions.fetchall()
    ]
    schemas, roles, settings = (
        [name for sign, name in found if sign == kind] for kind in ("schema", "role", "setting")
    )
    signs = ProviderFingerprint(
        frozenset(schemas), frozenset(roles), frozenset(one.name for one in installed), frozenset(settings)
    )
    provider = find_provider(endpoint.host, signs, order.provider)
    own = find_provider_schemas(provider, schemas)
    _, left = split_extensions(order, provider, installed)
    relations = [(int(oid), schema, name) for oid, schema, name, _ in listed]
    if order.filter is not None and (
        unmatched := find_unmatched_pattern(order.filter, schemas, relations, endpoint.user)
    ):
        raise ImportStopped(
            Failure(Reason.FILTER_INVALID, f"spec.filter: the source holds nothing that {unmatched} would match")
        )
    shapes, rows = (build_name_filter(order.filter, own, endpoint.user, rows=only) for only in (False, True))
    unwanted = [one for one in relations if not shapes(one[1], one[2])]
    whole = {
        schema for schema in schemas if schema in own or (order.filter is not None and not _has_any(shapes, schema))
    }
    single = [one for one in unwanted if one[1] not in whole]
    names = {
        "schemas": sorted(whole),
        "extensions": [_name_of(one) for one in left],
        "relations": [one[0] for one in single],
    }
    rowless = {one[0] for one in relations if shapes(one[1], one[2]) and not rows(one[1], one[2])}
    rowless |= find_partitions(rowless, {oid: parent for oid, _, _, parent in listed if parent is not None})
    excluded = _read_excluded(source, names, single)
    return SourceScope(
        excluded=excluded,
        parts=_read_parts(source, excluded),
        schemas=tuple(sorted(whole)),
        relations=tuple((schema, name) for _, schema, name in single),
        rowless=frozenset(rowless),
        rowless_names=tuple((schema, name) for oid, schema, name in relations if oid in rowless),
    )


def _has_any(shapes: NameFilter, schema: str) -> bool:
    """Whether a schema is meant at all: a name that no pattern of a table means asks for it."""
    return shapes(schema, "\x00")


def _name_of(left: SkippedObject) -> str:
    return left.object.partition(" ")[2]


def _read_excluded(
    source: Connection,
    names: dict[str, list[str] | list[int]],
    single: Iterable[tuple[int, str, str]],
) -> dict[tuple[int, int], str]:
    if not any(names.values()):
        return {}
    own = {(PG_CLASS, oid) for oid, _, _ in single}
    return {
        (catalog, oid): _FILTERED if (catalog, oid) in own else f"it needs {title}, which stays behind"
        for catalog, oid, title in source.execute(read_query("scope/excluded_objects"), names)
    }


def _read_parts(source: Connection, excluded: dict[tuple[int, int], str]) -> dict[tuple[int, str, str], str]:
    """What of tables that come must not come with them."""
    defaults, checks = (
        [oid for catalog, oid in excluded if catalog == wanted] for wanted in (PG_ATTRDEF, PG_CONSTRAINT)
    )
    if not defaults and not checks:
        return {}
    return {
        (table, kind, name): excluded[catalog, oid]
        for table, kind, name, catalog, oid in source.execute(
            read_query("scope/excluded_table_parts"), {"defaults": defaults, "checks": checks}
        )
    }


def read_exclusions(shadow: Connection, scope: SourceScope) -> Exclusions:
    """What the target has already, and what stays. Raises psycopg.Error."""
    return Exclusions(
        present=frozenset(str(name) for _, name in shadow.execute(read_query("scope/target_schemas"))),
        roles=frozenset(str(name) for (name,) in shadow.execute(read_query("scope/target_roles"))),
        objects=scope.excluded,
        parts=scope.parts,
    )


def read_undumped_objects(source: Connection) -> list[SkippedObject]:
    """What the dump was told not to hold. Raises psycopg.Error."""
    return [
        SkippedObject(object=name, reason=why) for name, why in source.execute(read_query("scope/undumped_objects"))
    ]
