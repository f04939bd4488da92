"""Skips the rows of tables that the copy lacks because their extension was skipped."""

from collections.abc import Iterable

from pgimport.model.import_choices import SkipGroup
from pgimport.worker.archive.restore_plan import RestorePlan, SkippedEntry
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.archive.trim import TABLE
from pgimport.worker.engines.definitions.session import DefinitionSession
from pgimport.worker.postgres.queries import read_query


def find_rows_without_table(plan: RestorePlan, entries: Iterable[TocEntry]) -> list[TocEntry]:
    """Returns the rows of tables that the archive does not create, if it names an extension that is skipped. Pure.

    An archive has the rows of a configuration table without the table, and without a dependency on the extension.
    """
    if not _find_skipped_extensions(plan):
        return []
    return [entry for entry in entries if entry.kind == "TABLE DATA" and plan.find_entry(entry, TABLE) is None]


def skip_rows_of_missing_tables(session: DefinitionSession, plan: RestorePlan, entries: list[TocEntry]) -> None:
    """Skips and lists those of the rows whose table the shadow does not have. Raises psycopg.Error."""
    names = {"schemas": [entry.schema for entry in entries], "names": [entry.tag for entry in entries]}
    present = set(session.connection.execute(read_query("definitions/present_tables"), names).fetchall())
    extensions = _find_skipped_extensions(plan)
    reason = f"its table belongs to an extension that is skipped ({', '.join(item.entry.tag for item in extensions)})"
    is_refused = any(item.group_of_dependents is SkipGroup.REFUSED for item in extensions)
    group = SkipGroup.REFUSED if is_refused else SkipGroup.BY_DESIGN
    for entry in entries:
        if (entry.schema, entry.tag) not in present:
            plan.skip(SkippedEntry(entry, reason, group))


def _find_skipped_extensions(plan: RestorePlan) -> list[SkippedEntry]:
    return [skipped for skipped in plan.skipped_entries.values() if skipped.entry.kind == "EXTENSION"]
