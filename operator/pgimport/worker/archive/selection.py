"""Selects the entries of an archive that are restored, and those that are skipped. Pure.

Judges each entry by its kind, definition and dependencies. An entry that depends on a skipped one is skipped too, and
listed. This is not a security boundary: only the privileges of the role that restores an archive limit hostile content.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pgimport.model.result import SkippedObject
from pgimport.worker.archive.sql_tokens import parse_tokens, scan_tokens
from pgimport.worker.archive.superuser_only import find_policy_roles, find_superuser_reason
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.archive.trim import CHECK, TablePart, mentions_name, trim_table

# Skipped but not listed in the report: the operator created them, or no import copies them (owners and grants).
_SKIPPED_SILENTLY = frozenset(
    {
        "ACL",
        "ACL LANGUAGE",
        "DATABASE",
        "DATABASE PROPERTIES",
        "DEFAULT ACL",
        "EXTENSION",
        "MATERIALIZED VIEW DATA",
        "SECURITY LABEL",
        "SEQUENCE SET",
        "STATISTICS DATA",
        "TABLESPACE",
    }
)
_REPLICATION = "a copy must not take part in replication"
_REMOTE = "it leads to another server"
SKIPPED_KINDS = {
    "EVENT TRIGGER": "only a superuser can make an event trigger",
    "FOREIGN DATA WRAPPER": _REMOTE,
    "FOREIGN SERVER": _REMOTE,
    "FOREIGN TABLE": _REMOTE,
    "SERVER": _REMOTE,
    "PUBLICATION": _REPLICATION,
    "PUBLICATION TABLE": _REPLICATION,
    "PUBLICATION TABLES IN SCHEMA": _REPLICATION,
    "SUBSCRIPTION": _REPLICATION,
    "SUBSCRIPTION TABLE": _REPLICATION,
    "USER MAPPING": _REMOTE,
}
# Entries that belong to one object. They are skipped together with the object, but not listed in the report.
_ATTACHED_KINDS = frozenset(
    {
        "ACL",
        "BLOBS",
        "BLOB COMMENTS",
        "COMMENT",
        "INDEX ATTACH",
        "MATERIALIZED VIEW DATA",
        "ROW SECURITY",
        "SECURITY LABEL",
        "SEQUENCE OWNED BY",
        "SEQUENCE SET",
        "STATISTICS DATA",
        "TABLE ATTACH",
        "TABLE DATA",
    }
)
_KINDS_IN_EXPRESSIONS = frozenset({"AGGREGATE", "FUNCTION", "SEQUENCE"})
_ROW_SECURITY_KINDS = frozenset({"POLICY", "ROW SECURITY"})
LANGUAGE = "PROCEDURAL LANGUAGE"  # in a dump of 9.0, plpgsql is one; every database has it since
PG_ATTRDEF, PG_CLASS, PG_CONSTRAINT = 2604, 1259, 2606  # oids of the catalogs, the same in every database

# Every new database has this comment. Whether pg_dump writes it depends on the owner of the schema.
_DEFAULT_COMMENTS = frozenset(
    f"COMMENT ON SCHEMA {name} IS 'standard public schema';" for name in ("public", '"public"')
)

ExclusionRule = Callable[[TocEntry], str | None]  # gives the reason to exclude an entry, or None


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Holds what is skipped in addition to the kinds of entries that are always skipped."""

    present_schemas: frozenset[str] = frozenset({"public"})  # schemas that the target has already
    target_roles: frozenset[str] | None = None  # policies that name other roles are skipped; None if unknown
    objects: dict[tuple[int, int], str] = field(default_factory=dict)  # (catalog, oid) → reason
    table_parts: dict[tuple[int, str, str], str] = field(default_factory=dict)  # (table, kind, name) → reason
    find_reason: ExclusionRule = lambda _: None  # by name: for the user's filter and the provider's own objects
    with_sequence_values: bool = False  # sequences get the archive's values, because there is no source to ask


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """Lists what is restored, in the archive's order, and what is skipped."""

    main_entries: list[TocEntry] = field(default_factory=list)
    row_security_entries: list[TocEntry] = field(default_factory=list)  # restored after the rows were counted
    skipped: list[SkippedObject] = field(default_factory=list)  # skipped objects that the report lists
    skipped_keys: set[tuple[int, int]] = field(default_factory=set)  # (catalog, oid) of all skipped objects
    skipped_checks: set[tuple[str, str, str]] = field(default_factory=set)  # schema, table, constraint
    changed_definitions: dict[str, str] = field(default_factory=dict)  # a table's definition → without skipped parts

    @property
    def table_oids(self) -> dict[int, int]:
        """Dump id of an entry with rows → oid of its table at the source."""
        return {entry.dump_id: entry.oid for entry in self.main_entries if entry.kind == "TABLE DATA"}


def plan_restore(entries: Iterable[TocEntry], exclusions: Exclusions) -> RestorePlan:
    """Sorts entries into those that are restored, those that are restored last, and those that are skipped.

    One pass is enough, because an archive lists an object before everything that depends on it.
    """
    plan = RestorePlan()
    skipped_entries: dict[int, TocEntry] = {}  # by dump id; entries that depend on them are skipped too
    present_ids: set[int] = set()  # dump ids of what the target has already; attached kinds are not restored
    row_security_ids: set[int] = set()
    for entry in entries:
        if entry.kind in ("SCHEMA", "EXTENSION", LANGUAGE) and _is_present(entry, exclusions):
            present_ids.add(entry.dump_id)
            continue
        if entry.kind == "COMMENT" and entry.definition.strip() in _DEFAULT_COMMENTS:
            continue
        if entry.kind in _ATTACHED_KINDS and any(
            dump_id in skipped_entries or dump_id in present_ids for dump_id in entry.dependencies[:1]
        ):
            continue
        reason = _find_reason(entry, exclusions)
        is_silent = entry.kind in _SKIPPED_SILENTLY and not (
            exclusions.with_sequence_values and entry.kind == "SEQUENCE SET"
        )
        if is_silent and reason is None:
            continue
        missing = [skipped_entries[dump_id] for dump_id in entry.dependencies if dump_id in skipped_entries]
        if reason is None and missing and entry.kind in _ATTACHED_KINDS:
            continue
        if reason is None and not (entry.kind == "TABLE" and _trim(plan, entry, missing, exclusions)) and missing:
            reason = _describe_dependency(missing[0])
        if reason is not None:
            skipped_entries[entry.dump_id] = entry
            plan.skipped_keys.add((entry.catalog, entry.oid))
            plan.skipped.append(SkippedObject(object=entry.title, reason=reason))
        elif entry.kind in _ROW_SECURITY_KINDS or (
            entry.kind == "COMMENT" and row_security_ids.intersection(entry.dependencies)
        ):
            row_security_ids.add(entry.dump_id)
            plan.row_security_entries.append(entry)
        else:
            plan.main_entries.append(entry)
    return plan


def _describe_dependency(entry: TocEntry) -> str:
    return f"it needs {entry.title}, which is skipped"


def _trim(plan: RestorePlan, entry: TocEntry, missing: list[TocEntry], exclusions: Exclusions) -> bool:
    """Removes defaults and constraints that need skipped objects from a table.

    Returns False if another part of the table needs a skipped object. The caller then skips the table.
    """
    if not all(item.kind in _KINDS_IN_EXPRESSIONS for item in missing):
        return False
    if not missing and not exclusions.table_parts:
        return True
    reasons = {(item.schema, parse_tokens(item.tag)[0]): _describe_dependency(item) for item in missing}

    def find_part_reason(part: TablePart) -> str | None:
        reason = exclusions.table_parts.get((entry.oid, part.kind, part.name))
        return reason or next((text for name, text in reasons.items() if mentions_name(part.tokens, {name})), None)

    definition, removed_parts = trim_table(entry.definition, lambda part: find_part_reason(part) is not None)
    if mentions_name(list(scan_tokens(definition)), reasons):
        return False
    if removed_parts:
        plan.changed_definitions[entry.definition] = definition
    for part in removed_parts:
        title = f"{part.kind} {entry.schema}.{entry.tag} {part.name}"
        plan.skipped.append(SkippedObject(object=title, reason=str(find_part_reason(part))))
        if part.kind == CHECK:
            plan.skipped_checks.add((entry.schema, entry.tag, part.name))
    return True


def _is_present(entry: TocEntry, exclusions: Exclusions) -> bool:
    """True for what the target has already. The operator created all extensions that the preflight reported."""
    if entry.kind == "EXTENSION":
        return _find_reason(entry, exclusions) is None
    if entry.kind == LANGUAGE:
        return entry.tag == "plpgsql"
    return entry.tag in exclusions.present_schemas


def _find_reason(entry: TocEntry, exclusions: Exclusions) -> str | None:
    """Returns the reason to skip the entry regardless of its dependencies, or None."""
    if entry.kind in SKIPPED_KINDS:
        return SKIPPED_KINDS[entry.kind]
    if entry.catalog and (reason := exclusions.objects.get((entry.catalog, entry.oid))) is not None:
        return reason
    if (reason := exclusions.find_reason(entry)) is not None:
        return reason
    if entry.kind == "POLICY" and exclusions.target_roles is not None:
        missing_roles = sorted(set(find_policy_roles(entry.definition)) - exclusions.target_roles)
        if missing_roles:
            return f"it names a role that the target lacks ({', '.join(missing_roles)})"
    return find_superuser_reason(entry.kind, entry.definition)


def format_use_list(entries: Iterable[TocEntry]) -> str:
    """Returns the text of a `pg_restore --use-list` file. pg_restore reads only the numbers."""
    return "".join(f"{entry.dump_id};\n" for entry in entries)
