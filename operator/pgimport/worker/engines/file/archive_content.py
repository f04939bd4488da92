"""Plans which entries of an archive are restored, and counts their rows."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from psycopg import sql

from pgimport.worker.archive.database_settings import read_archive_settings
from pgimport.worker.archive.restore_plan import RestorePlan
from pgimport.worker.archive.selection import Exclusions, plan_restore
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.archive.trim import TABLE
from pgimport.worker.engines.definitions.phases import KINDS_AFTER_ROWS
from pgimport.worker.engines.definitions.restore import DefinitionRestore
from pgimport.worker.engines.file.restored_content import RestoredContent, describe_created_schema, find_copy_target
from pgimport.worker.postgres.server_progress import INDEX_PROGRESS, reporting_server_progress
from pgimport.worker.report.progress_meter import Stage
from pgimport.worker.run import ImportRun
from pgimport.worker.scope.archive_scope import build_exclusion_rule, split_archive_extensions
from pgimport.worker.scope.database_settings import build_stored_properties

SYSTEM_SCHEMAS = ("pg_catalog", "information_schema")


def plan_archive(
    run: ImportRun, entries: list[TocEntry], exclusions: Exclusions
) -> tuple[RestorePlan, RestoredContent]:
    """Returns which entries are restored, and the content to verify.

    Raises ImportStopped if a filter matches nothing in the archive.
    """
    exclusions = replace(
        exclusions,
        find_reason=build_exclusion_rule(run.order, entries, run.shadow_state),
        unavailable_extensions=split_archive_extensions(run.order, entries, run.shadow_state).unavailable,
    )
    plan = plan_restore(entries, exclusions)
    plan.skipped += build_stored_properties(*read_archive_settings(entries)).skipped
    populated_views = {
        (entry.schema, entry.tag)
        for entry in entries
        if entry.kind == "MATERIALIZED VIEW DATA" and (entry.catalog, entry.oid) not in plan.skipped_keys
    }
    content = RestoredContent(
        plan=plan,
        skipped=plan.skipped,
        populated_views=populated_views,
    )
    return plan, content


def create_missing_schemas(run: ImportRun, plan: RestorePlan, exclusions: Exclusions, content: RestoredContent) -> None:
    """Creates the schemas that the dump's objects are in, but that it does not contain. Raises ImportStopped.

    `pg_dump --table` dumps no schemas; `--schema` dumps only the named ones.
    """
    missing = find_missing_schemas(plan.main_entries, exclusions.present_schemas)
    if missing:
        with run.shadow_sessions.session("schemas that the dump lacks were created") as shadow:
            for schema in missing:
                shadow.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
                content.notes.append(describe_created_schema(schema))


def find_missing_schemas(entries: Iterable[TocEntry], present_schemas: Collection[str]) -> list[str]:
    """Returns the schemas of objects for which there is no entry SCHEMA, in their order. Pure."""
    listed = list(entries)
    created = {entry.tag for entry in listed if entry.kind == "SCHEMA"}.union(present_schemas, SYSTEM_SCHEMAS)
    return list(dict.fromkeys(entry.schema for entry in listed if entry.schema and entry.schema not in created))


def create_post_data(run: ImportRun, restore: DefinitionRestore) -> None:
    """Sets sequences and creates everything that comes after the rows. Raises ImportStopped."""
    restore.set_sequences()
    run.meter.begin(Stage.INDEXES, sum(entry.kind in KINDS_AFTER_ROWS for entry in restore.plan.main_entries))
    with reporting_server_progress(run.meter, run.shadow, INDEX_PROGRESS):
        restore.create_post_data(run.meter.step)


def add_row_counts(
    content: RestoredContent,
    plan: RestorePlan,
    entries: list[TocEntry],
    row_counts: Mapping[int, int],
    root_copies: Mapping[int, str],
) -> None:
    """Adds the row counts of restored and of skipped tables.

    `row_counts`: dump id → rows of its COPY. `root_copies`: dump id → COPY that restored its rows.
    """
    restored = {entry.dump_id for entry in plan.restored_entries}
    content.sequence_count = sum(entry.kind == "SEQUENCE SET" for entry in plan.restored_entries)
    for entry in entries:
        if entry.kind == "TABLE DATA" and entry.dump_id in row_counts:
            table_entry = plan.find_entry(entry, TABLE) or entry
            if plan.is_skipped(table_entry):
                plan.set_row_count(table_entry, row_counts[entry.dump_id])
        if entry.kind != "TABLE DATA" or entry.dump_id not in restored:
            continue
        if entry.dump_id in row_counts:
            statement = root_copies.get(entry.dump_id, entry.copy_statement)
            table = find_copy_target(statement) or (entry.schema, entry.tag)
            content.row_counts[table] += row_counts[entry.dump_id]
        elif entry.has_rows or entry.file:
            content.uncounted_tables.add((entry.schema, entry.tag))
