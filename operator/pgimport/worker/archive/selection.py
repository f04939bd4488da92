"""Selects the entries of an archive that are restored, and those that are skipped. Pure.

Judges each entry by its kind, definition and dependencies. An entry that depends on a skipped one is skipped too, and
listed. This is not a security boundary: only the privileges of the role that restores an archive limit hostile content.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pgimport.model.import_choices import SkipGroup
from pgimport.worker.archive.call_order import order_by_calls
from pgimport.worker.archive.entry_names import find_containers, find_partitions
from pgimport.worker.archive.restore_plan import RestorePlan, SkippedEntry
from pgimport.worker.archive.superuser_only import find_policy_roles, find_superuser_reason
from pgimport.worker.archive.toc import TocEntry

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
        "SEQUENCE SET",
        "STATISTICS DATA",
        "TABLESPACE",
    }
)
# Entries that belong to a publication or subscription, which the report lists.
_PARTS_OF_SKIPPED_KINDS = frozenset({"PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA", "SUBSCRIPTION TABLE"})
_REPLICATION = "a copy must not take part in replication"
_REMOTE = "it leads to another server"
SKIPPED_KINDS = {
    "EVENT TRIGGER": "only a superuser can make an event trigger",
    "FOREIGN DATA WRAPPER": _REMOTE,
    "FOREIGN SERVER": _REMOTE,
    "FOREIGN TABLE": _REMOTE,
    "SECURITY LABEL": "it belongs to a label provider of the source's server",
    "SERVER": _REMOTE,
    "PUBLICATION": _REPLICATION,
    "PUBLICATION TABLE": _REPLICATION,
    "PUBLICATION TABLES IN SCHEMA": _REPLICATION,
    "SUBSCRIPTION": _REPLICATION,
    "SUBSCRIPTION TABLE": _REPLICATION,
    "USER MAPPING": _REMOTE,
}
_ROW_SECURITY_KINDS = frozenset({"POLICY", "ROW SECURITY"})
PG_ATTRDEF, PG_CLASS, PG_CONSTRAINT = 2604, 1259, 2606  # oids of the catalogs, the same in every database
ALWAYS_THERE = "plpgsql"  # every new database has this language, which the oldest dumps create

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
    rowless_tables: frozenset[tuple[str, str]] = frozenset()  # schema and name of tables without their rows
    undumped_partitions: Mapping[tuple[str, str], str] = field(default_factory=dict)  # see RestorePlan
    unavailable_extensions: frozenset[str] = frozenset()  # skipped ones; what needs them counts as refused
    forecast: bool = False  # also skips what only a superuser can create, which an import tries to create


def plan_restore(entries: Iterable[TocEntry], exclusions: Exclusions) -> RestorePlan:
    """Sorts entries into those that are restored, those that are restored last, and those that are skipped.

    One pass is enough, because an archive lists an object before everything that depends on it.
    """
    listed = order_by_calls(entries)
    plan = RestorePlan(
        table_parts=exclusions.table_parts,
        entries_by_id={entry.dump_id: entry for entry in listed},
        containers=find_containers(listed),
        rowless_tables=set(exclusions.rowless_tables),
        partitions=find_partitions(listed),
        undumped_partitions=exclusions.undumped_partitions,
        forecast=exclusions.forecast,
    )
    present_extensions: set[int] = set()  # dump ids; their comments are not restored
    row_security_ids: set[int] = set()
    for entry in listed:
        if entry.kind == "EXTENSION" and _find_reason(entry, exclusions) is None:
            present_extensions.add(entry.dump_id)
        if _is_present(entry, exclusions) or _is_silent(entry, exclusions):
            continue
        if entry.kind == "COMMENT" and not present_extensions.isdisjoint(entry.dependencies):
            continue
        if (skipped := _judge(entry, exclusions)) is not None:
            plan.skip(skipped, silent=entry.kind in _PARTS_OF_SKIPPED_KINDS or plan.belongs_to_skipped(entry))
        elif not plan.admit(entry):
            continue
        elif entry.kind in _ROW_SECURITY_KINDS or (
            entry.kind == "COMMENT" and row_security_ids.intersection(entry.dependencies)
        ):
            row_security_ids.add(entry.dump_id)
            plan.row_security_entries.append(entry)
        else:
            plan.main_entries.append(entry)
    return plan


def _is_present(entry: TocEntry, exclusions: Exclusions) -> bool:
    """True for what the target has already."""
    if entry.kind == "COMMENT":
        return entry.definition.strip() in _DEFAULT_COMMENTS
    if entry.kind == "PROCEDURAL LANGUAGE":
        return entry.tag == ALWAYS_THERE
    return entry.kind == "SCHEMA" and entry.tag in exclusions.present_schemas


def _is_silent(entry: TocEntry, exclusions: Exclusions) -> bool:
    """True for an entry that is neither restored nor listed."""
    if entry.kind == "SEQUENCE SET" and exclusions.with_sequence_values:
        return False
    if entry.kind == "COMMENT" and entry.tag.startswith("DATABASE "):
        return True  # the operator writes it
    return entry.kind in _SKIPPED_SILENTLY and _find_reason(entry, exclusions) is None


def _judge(entry: TocEntry, exclusions: Exclusions) -> SkippedEntry | None:
    """Returns the entry as skipped if there is a reason regardless of its dependencies, or None."""
    if (reason := _find_reason(entry, exclusions)) is not None:
        is_unavailable = entry.kind == "EXTENSION" and entry.tag in exclusions.unavailable_extensions
        return SkippedEntry(entry, reason, dependents_group=SkipGroup.REFUSED if is_unavailable else None)
    if exclusions.forecast and (reason := find_superuser_reason(entry.kind, entry.definition)) is not None:
        return SkippedEntry(entry, reason, SkipGroup.REFUSED)
    return None


def _find_reason(entry: TocEntry, exclusions: Exclusions) -> str | None:
    """Returns the reason to skip the entry by design, or None."""
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
    return None


def format_use_list(entries: Iterable[TocEntry]) -> str:
    """Returns the text of a `pg_restore --use-list` file. pg_restore reads only the numbers."""
    return "".join(f"{entry.dump_id};\n" for entry in entries)
