"""Sorts the entries of an archive into the phases of a restore. Pure."""

from collections.abc import Collection, Iterable
from enum import Enum

from pgimport.worker.archive.restore_plan import RestorePlan
from pgimport.worker.archive.sql_tokens import scan_tokens
from pgimport.worker.archive.toc import Section, TocEntry, find_owner_entries
from pgimport.worker.engines.definitions.statements import SETTING_KINDS

ROW_KINDS = frozenset({"TABLE DATA", "BLOBS"})
# Kinds that are created after the rows. Progress counts them.
KINDS_AFTER_ROWS = frozenset({"INDEX", "INDEX ATTACH", "CONSTRAINT", "FK CONSTRAINT", "TRIGGER", "RULE", "STATISTICS"})
_SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema", "public"})
_LOCKED_KINDS = frozenset({"TABLE", "MATERIALIZED VIEW"})
_COMMENT_ON_CONSTRAINT = "COMMENT ON CONSTRAINT"


class PostDataPhase(Enum):
    """The phases of post-data, in the order in which they run."""

    INDEXES = 1
    CATALOGUE = 2  # not in parallel: each statement is short, and some would deadlock
    FOREIGN_KEYS = 3


def find_pre_data(entries: Iterable[TocEntry]) -> list[TocEntry]:
    """Returns what is created before the rows, with its comments, but without comments on constraints."""
    listed = list(entries)
    owners = find_owner_entries(listed)
    return [
        entry
        for entry in listed
        if (_precedes_rows(owners[entry.dump_id]) or _is_schema_comment(entry))
        and entry.kind not in SETTING_KINDS
        and not _is_constraint_comment(entry)
    ]


def _precedes_rows(entry: TocEntry) -> bool:
    """Returns whether an entry is created before the rows. pg_dump 17 lists large objects in the section of data."""
    return entry.section is Section.PRE_DATA or entry.kind == "BLOB METADATA"


def _is_schema_comment(entry: TocEntry) -> bool:
    """True for a comment on a schema.

    It is created even if the schema's own entry is not, because the schema exists already.
    """
    return entry.kind == "COMMENT" and entry.tag.startswith("SCHEMA ")


def find_undumped_schemas(archive: Iterable[TocEntry], created: Iterable[TocEntry]) -> list[str]:
    """Returns the schemas that the archive does not create, although it has objects in them.

    The target may have them already.
    """
    dumped = {entry.tag for entry in archive if entry.kind == "SCHEMA"}
    return sorted({entry.schema for entry in created if entry.schema} - dumped - _SYSTEM_SCHEMAS)


def find_constraint_comments(entries: Iterable[TocEntry]) -> list[TocEntry]:
    """Returns the comments on CHECK constraints of tables and domains, which exist only after the rows."""
    listed = list(entries)
    owners = find_owner_entries(listed)
    return [
        entry for entry in listed if owners[entry.dump_id].section is Section.PRE_DATA and _is_constraint_comment(entry)
    ]


def find_row_entries(entries: Iterable[TocEntry]) -> list[TocEntry]:
    """Returns what pg_restore restores: rows and large objects."""
    return [entry for entry in entries if entry.kind in ROW_KINDS]


def find_sequence_values(entries: Iterable[TocEntry]) -> list[TocEntry]:
    return [entry for entry in entries if entry.kind == "SEQUENCE SET"]


def plan_post_data(entries: list[TocEntry], built: Collection[int]) -> dict[PostDataPhase, list[TocEntry]]:
    """Sorts the post-data entries into phases, without those whose dump id is in `built`."""
    partitions = {dump_id for entry in entries if entry.kind == "TABLE ATTACH" for dump_id in entry.dependencies}
    owners = find_owner_entries(entries)
    phases: dict[PostDataPhase, list[TocEntry]] = {phase: [] for phase in PostDataPhase}
    # A view that groups by a primary key is restored after the key, and the view's own indexes after the view.
    catalogue_ids: set[int] = set()
    for entry in entries:
        owner = owners[entry.dump_id]
        if owner.section is not Section.POST_DATA or entry.dump_id in built:
            continue
        phase = _find_phase(owner, partitions)
        if phase is PostDataPhase.INDEXES and not catalogue_ids.isdisjoint(owner.dependencies):
            phase = PostDataPhase.CATALOGUE
        if phase is PostDataPhase.CATALOGUE:
            catalogue_ids.add(entry.dump_id)
        phases[phase].append(entry)
    return phases


def find_locked_tables(plan: RestorePlan, entry: TocEntry) -> tuple[frozenset[int], bool]:
    """Returns the dump ids of the tables that the statement locks, and whether nothing else may run on them.

    CREATE INDEX takes a lock that other builds on the table can take too. A foreign key depends on its table and on
    the key that it references.
    """
    exclusive = entry.kind != "INDEX" or "ALTER TABLE " in entry.definition
    needed = [plan.entries_by_id[dump_id] for dump_id in entry.dependencies if dump_id in plan.entries_by_id]
    keys = [item for item in needed if item.kind in ("CONSTRAINT", "INDEX")]
    tables = {item.dump_id for item in needed if item.kind in _LOCKED_KINDS}
    tables.update(dump_id for key in keys for dump_id in key.dependencies)
    return frozenset(tables), exclusive


def find_attached_index(entry: TocEntry) -> str:
    """Returns the name of the partitioned index in `ALTER INDEX s.parent ATTACH PARTITION s.child`."""
    tokens = [token.text for token in scan_tokens(entry.definition)]
    return tokens[4] if len(tokens) > 4 else ""


def _find_phase(entry: TocEntry, partitions: set[int]) -> PostDataPhase:
    if entry.kind == "FK CONSTRAINT" and partitions.isdisjoint(entry.dependencies):
        return PostDataPhase.FOREIGN_KEYS
    return PostDataPhase.INDEXES if entry.kind in ("INDEX", "CONSTRAINT") else PostDataPhase.CATALOGUE


def _is_constraint_comment(entry: TocEntry) -> bool:
    return entry.kind == "COMMENT" and entry.definition.startswith(_COMMENT_ON_CONSTRAINT)
