"""Restores a custom archive. Stores only its table of contents, and passes its rows directly to pg_restore."""

from collections.abc import Callable
from pathlib import Path

from pgimport.worker.archive.partition_roots import find_root_copies
from pgimport.worker.archive.selection import Exclusions
from pgimport.worker.archive.toc import ArchiveHeader, TocEntry, parse_table_of_contents
from pgimport.worker.archive.toc_rewrite import rewrite_entries
from pgimport.worker.engines.configuration_rows import finish_rows, move_rows, open_staging
from pgimport.worker.engines.definitions.restore import DefinitionRestore
from pgimport.worker.engines.detached_partitions import naming_detached_partitions
from pgimport.worker.engines.file.archive_content import (
    add_row_counts,
    create_missing_schemas,
    create_post_data,
    plan_archive,
)
from pgimport.worker.engines.file.custom_format import forward_rows
from pgimport.worker.engines.file.download import Download
from pgimport.worker.engines.file.dump_stream import DumpStream
from pgimport.worker.engines.file.restored_content import RestoredContent
from pgimport.worker.engines.file.whole_file import read_to_the_end
from pgimport.worker.engines.pg_restore import PgRestore
from pgimport.worker.postgres.errors import ImportStopped
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
    create_missing_schemas(run, plan, exclusions, content)
    restore = content.restore = DefinitionRestore(run, plan)
    staging = open_staging(run)
    restore.create_structure(run.meter.step)
    root_copies = find_root_copies(plan.restored_entries)
    changes = {**restore.find_path_change(), **root_copies, **staging.redirect_entries(plan.main_entries)}
    rewrite_entries(archive, changes)
    with naming_detached_partitions(lambda: plan.skipped):
        row_counts = _restore_rows(pg_restore, stream, header, entries, restore, archive)
    read_to_the_end(run.order, stream, download)
    add_row_counts(content, plan, entries, row_counts, root_copies)
    content.add_configuration_rows(move_rows(run, staging))
    create_post_data(run, restore)
    content.add_configuration_rows(finish_rows(run, staging))
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
    restore: DefinitionRestore,
    archive: Path,
) -> dict[int, int]:
    """Returns dump id → rows. Even without rows to restore, reads to the end, so that a truncated file always fails."""
    row_entries = restore.find_row_entries()
    if not row_entries:
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
        pg_restore.restore_rows_from(row_entries, write_input)
    except ImportStopped:
        if not read_errors:
            raise
    if read_errors:
        raise read_errors[0]
    return row_counts
