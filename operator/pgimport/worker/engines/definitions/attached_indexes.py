"""Drops partitioned indexes that would stay invalid, because the index of one partition was skipped."""

from pgimport.worker.archive.restore_plan import RestorePlan, SkippedEntry
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.engines.definitions.phases import find_attached_index
from pgimport.worker.engines.definitions.session import DefinitionSession
from pgimport.worker.text import quote_name


def drop_incomplete_indexes(session: DefinitionSession, plan: RestorePlan) -> None:
    """Drops each partitioned index that lacks the index of a partition, and lists it. Raises ImportStopped.

    PostgreSQL does not use an invalid index, and does not enforce its uniqueness for all rows.
    """
    attachments = [entry for entry in plan.main_entries if entry.kind == "INDEX ATTACH"]
    while (found := _find_incomplete(plan, attachments)) is not None:
        parent, cause = found
        plan.skip(SkippedEntry(parent, cause.reason_of_dependents, cause.group))
        if parent.kind == "CONSTRAINT":
            schema, table, name = plan.name_constraint(parent)
            statement = f"ALTER TABLE {quote_name(schema, table)} DROP CONSTRAINT {quote_name(name)};"
        else:
            statement = f"DROP INDEX {quote_name(parent.schema, parent.tag)};"
        session.execute(statement, parent.title)


def _find_incomplete(plan: RestorePlan, attachments: list[TocEntry]) -> tuple[TocEntry, SkippedEntry] | None:
    """Returns a partitioned index that exists, and the skipped index of a partition that it needs. Pure."""
    for entry in attachments:
        if plan.attaches_skipped_partition(entry):
            continue
        indexes = [plan.entries_by_id[item] for item in entry.dependencies if item in plan.entries_by_id]
        parent_name = find_attached_index(entry)
        parents = [index for index in indexes if _name_index(plan, index) == parent_name]
        skipped = [plan.skipped_entries[item] for item in entry.dependencies if item in plan.skipped_entries]
        if skipped and parents and not plan.is_skipped(parents[0]):
            return parents[0], skipped[0]
    return None


def _name_index(plan: RestorePlan, entry: TocEntry) -> str:
    return plan.name_constraint(entry)[2] if entry.kind == "CONSTRAINT" else entry.tag
