"""Restores a custom archive. Stores only its table of contents, and passes its rows directly to pg_restore."""

from collections.abc import Callable
from pathlib import Path

from pgimport.worker.archive.selection import Exclusions, RestorePlan
from pgimport.worker.archive.toc import (
    ArchiveHeader,
    Section,
    TocEntry,
    find_owner_entries,
    parse_table_of_contents,
)
from pgimport.worker.archive.trim import rewrite_definitions
from pgimport.worker.engines.client_progress import PgRestoreProgress
from pgimport.worker.engines.configuration_rows import move_rows, open_staging
from pgimport.worker.engines.file.archive_content import add_row_counts, plan_archive
from pgimport.worker.engines.file.custom_format import forward_rows
from pgimport.worker.engines.file.download import Download
from pgimport.worker.engines.file.dump_stream import DumpStream
from pgimport.worker.engines.file.restored_content import RestoredContent
from pgimport.worker.engines.file.whole_file import read_to_the_end
from pgimport.worker.engines.pg_restore import PgRestore
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.server_progress import INDEX_PROGRESS, reporting_server_progress
from pgimport.worker.report.progress_meter import Stage
from pgimport.worker.run import ImportRun

ARCHIVE_WITHOUT_ROWS = "contents.dump"  # file in scratch with the table of contents: restores everything but rows
_PIECE = 1024 * 1024  # bytes


def restore_custom(
    run: ImportRun, pg_restore: PgRestore, stream: DumpStream, download: Download, exclusions: Exclusions
) -> RestoredContent:
    """Restores structure from the stored table of contents, and rows over standard input. Raises ImportStopped."""
    archive = run.environment.scratch / ARCHIVE_WITHOUT_ROWS
    header, entries = _store_table_of_contents(stream, archive)
    plan, content = plan_archive(run, entries, exclusions)
    content.archive = archive
    staging = open_staging(run)
    rewrite_definitions(archive, {**plan.changed_definitions, **staging.redirect_entries(plan.main_entries)})
    on_line = PgRestoreProgress(run.meter, {}, {}, serial=True).read_line
    pg_restore.restore("pre-data", plan.main_entries, on_line, parallel=False, archive=archive)
    row_counts = _restore_rows(pg_restore, stream, header, entries, plan, archive)
    read_to_the_end(run.order, stream, download)
    add_row_counts(content, plan, entries, row_counts)
    content.add_configuration_rows(move_rows(run, staging))
    run.meter.begin(Stage.INDEXES, len(plan.main_entries))
    with reporting_server_progress(run.meter, run.shadow, INDEX_PROGRESS):
        pg_restore.restore_post_data(plan.main_entries, on_line, archive=archive)
    return content


def _store_table_of_contents(stream: DumpStream, archive: Path) -> tuple[ArchiveHeader, list[TocEntry]]:
    with archive.open("wb") as file:

        def read(count: int) -> bytes:
            content = stream.read(count)
            file.write(content)
            return content

        header, entries = parse_table_of_contents(read)
        return header, list(entries)


def _restore_rows(
    pg_restore: PgRestore,
    stream: DumpStream,
    header: ArchiveHeader,
    entries: list[TocEntry],
    plan: RestorePlan,
    archive: Path,
) -> dict[int, int]:
    """Returns dump id → rows. Even without rows to restore, reads to the end, so that a truncated file always fails."""
    owners = find_owner_entries(plan.main_entries)
    data_entries = [entry for entry in plan.main_entries if owners[entry.dump_id].section is Section.DATA]
    if not data_entries:
        return forward_rows(stream, header, entries, lambda _: None)
    row_counts: dict[int, int] = {}
    read_errors: list[ImportStopped] = []

    def write_input(write: Callable[[bytes], object]) -> None:
        with archive.open("rb") as contents:
            while piece := contents.read(_PIECE):
                write(piece)
        try:
            row_counts.update(forward_rows(stream, header, entries, write))
        except ImportStopped as stopped:  # pg_restore would only say that its input ended
            read_errors.append(stopped)

    try:
        pg_restore.restore_rows_from(data_entries, write_input)
    except ImportStopped:
        if not read_errors:
            raise
    if read_errors:
        raise read_errors[0]
    return row_counts
