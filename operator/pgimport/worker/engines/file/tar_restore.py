"""Stores the files of a tar archive, or of a directory archive in a tar, in scratch, and restores them in parallel."""

from pathlib import Path

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.archive.partition_roots import find_root_copies
from pgimport.worker.archive.selection import Exclusions
from pgimport.worker.archive.toc import TOC_FILE, corrupt, parse_table_of_contents
from pgimport.worker.archive.toc_rewrite import rewrite_entries
from pgimport.worker.engines.archive_rows import count_archive_rows
from pgimport.worker.engines.configuration_rows import finish_rows, move_rows, open_staging
from pgimport.worker.engines.definitions.restore import DefinitionRestore
from pgimport.worker.engines.detached_partitions import naming_detached_partitions
from pgimport.worker.engines.file.archive_content import (
    add_row_counts,
    create_missing_schemas,
    create_post_data,
    plan_archive,
)
from pgimport.worker.engines.file.download import Download
from pgimport.worker.engines.file.dump_opening import belongs_to_directory, walk_archive
from pgimport.worker.engines.file.dump_stream import DumpStream
from pgimport.worker.engines.file.restored_content import RestoredContent
from pgimport.worker.engines.file.tar_reader import TarMember
from pgimport.worker.engines.file.whole_file import read_to_the_end
from pgimport.worker.engines.file.zip_reader import ZipMember
from pgimport.worker.engines.pg_restore import PgRestore
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.server_progress import ROWS_COPIED, reporting_server_progress
from pgimport.worker.run import ImportRun
from pgimport.worker.text import format_bytes

_PIECE = 1024 * 1024  # bytes


def restore_tar(
    run: ImportRun, pg_restore: PgRestore, stream: DumpStream, download: Download, exclusions: Exclusions
) -> RestoredContent:
    """Stores all files of the tar, counts their rows and restores them. Raises ImportStopped."""
    folder = run.archive_folder
    _store_members(stream, folder, run.order.scratch_bytes)
    read_to_the_end(run.order, stream, download)
    toc_file = folder / TOC_FILE
    if not toc_file.exists():
        raise corrupt(f"the tar holds no {TOC_FILE}: it is neither a tar archive nor a directory of pg_dump")
    with toc_file.open("rb") as file:
        _, parsed_entries = parse_table_of_contents(file.read)
        entries = list(parsed_entries)
    plan, content = plan_archive(run, entries, exclusions)
    create_missing_schemas(run, plan, exclusions, content)
    row_counts = count_archive_rows(folder, entries, run.meter.report_work)
    restore = content.restore = DefinitionRestore(run, plan)
    staging = open_staging(run)
    restore.create_structure(run.meter.step)
    root_copies = find_root_copies(plan.restored_entries)
    changes = {**restore.find_path_change(), **root_copies, **staging.redirect_entries(plan.main_entries)}
    rewrite_entries(toc_file, changes)
    naming_detached = naming_detached_partitions(lambda: plan.skipped)
    with naming_detached, reporting_server_progress(run.meter, run.shadow, ROWS_COPIED):
        pg_restore.restore_rows(restore.find_row_entries(), lambda _: run.meter.step())
    add_row_counts(content, plan, entries, row_counts, root_copies)
    content.add_configuration_rows(move_rows(run, staging))
    create_post_data(run, restore)
    content.add_configuration_rows(finish_rows(run, staging))
    return content


def _store_members(stream: DumpStream, folder: Path, scratch_bytes: int | None) -> None:
    folder.mkdir()
    unpacked_bytes = 0
    for member in walk_archive(stream):
        if not belongs_to_directory(member, stream):
            continue
        unpacked_bytes += member.size
        if scratch_bytes is not None and unpacked_bytes > scratch_bytes:
            message = (
                f"the tar unpacks to more than {format_bytes(unpacked_bytes)}; spec.scratch.size is"
                f" {format_bytes(scratch_bytes)}"
            )
            raise ImportStopped(Failure(Reason.SCRATCH_FULL, message))
        _store_member(member, folder / member.name)


def _store_member(member: TarMember | ZipMember, path: Path) -> None:
    try:
        with path.open("xb") as file:
            while piece := member.read(_PIECE):
                file.write(piece)
    except FileExistsError:
        raise corrupt(f"{member.path} is in the tar twice") from None
    except OSError as error:
        raise ImportStopped(
            Failure(Reason.SCRATCH_FULL, f"the tar does not fit into scratch: {error.strerror}")
        ) from None
