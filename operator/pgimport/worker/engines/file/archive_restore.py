"""Archives of pg_dump: a stream comes in; what it holds is in the shadow, its rows counted as they went by."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.archive.selection import Exclusions, RestorePlan, plan_restore
from pgimport.worker.archive.toc import (
    ArchiveHeader,
    Compression,
    Section,
    TocEntry,
    corrupt,
    find_owner_entries,
    parse_table_of_contents,
)
from pgimport.worker.archive.trim import rewrite_definitions
from pgimport.worker.checks.dump_file_reader import TOC
from pgimport.worker.engines.file.compression import DumpStream
from pgimport.worker.engines.file.custom_format import forward_rows
from pgimport.worker.engines.file.download import Download
from pgimport.worker.engines.file.restored_content import RestoredContent, find_copy_target, read_to_the_end
from pgimport.worker.engines.file.row_counter import RowCounter
from pgimport.worker.engines.file.tar_reader import TarMember, walk_members
from pgimport.worker.engines.pg_restore import ImportRun, build_restore_arguments, run_post_data, run_restore
from pgimport.worker.postgres.endpoints import build_client_environment, write_passfile
from pgimport.worker.postgres.errors import ClientErrorParser, ImportStopped, is_verbose_output, translate_restore_exit
from pgimport.worker.postgres.server_progress import reporting_server_progress
from pgimport.worker.report.progress import PgRestoreProgress, Stage
from pgimport.worker.scope.archive_scope import build_exclusion_rule
from pgimport.worker.text import format_bytes

HEAD = "contents.dump"  # a custom archive without its rows: enough to restore everything else
_PIECE = 1024 * 1024
_LISTED = re.compile(rb"[0-9]{1,10} blob_[0-9]{1,10}\.dat(\.gz|\.lz4|\.zst)?\n")
_LONGEST_LINE = 100  # bytes
_ENDINGS = (("", Compression.NONE), (".gz", Compression.GZIP), (".lz4", Compression.LZ4), (".zst", Compression.ZSTD))


def restore_custom(run: ImportRun, stream: DumpStream, download: Download, exclusions: Exclusions) -> RestoredContent:
    """Structure from the saved table of contents, rows through pg_restore's standard input."""
    head = run.environment.scratch / HEAD
    with head.open("wb") as file:

        def read(count: int) -> bytes:
            found = stream.read(count)
            file.write(found)
            return found

        header, listed = parse_table_of_contents(read)
        entries = list(listed)
    passed = _plan_archive(run, entries, exclusions)
    assert passed.plan is not None  # noqa: S101 (of an archive it is there)
    rewrite_definitions(head, passed.plan.changes)
    run_restore(run, "pre-data", passed.plan.main, _ear(run), parallel=False, archive=head)
    counts = _feed_rows(run, stream, header, entries, passed.plan, head)
    read_to_the_end(run, stream, download)
    _add_counts(passed, entries, counts)
    run.meter.begin(Stage.INDEXES, len(passed.plan.main))
    with reporting_server_progress(run, run.shadow, "postgres/index_progress"):
        run_post_data(run, passed.plan.main, _ear(run), archive=head)
    return passed


def _feed_rows(
    run: ImportRun, stream: DumpStream, header: ArchiveHeader, entries: list[TocEntry], plan: RestorePlan, head: Path
) -> dict[int, int]:
    """Walks the rows even where nothing of them is wanted: the file must be whole. Raises Stopped."""
    homes = find_owner_entries(plan.main)
    wanted = [entry for entry in plan.main if homes[entry.dump_id].section is Section.DATA]
    if not wanted:
        return forward_rows(stream, header, entries, lambda _: None)
    counts: dict[int, int] = {}
    stopped: list[ImportStopped] = []

    def give(write: Callable[[bytes], object]) -> None:
        with head.open("rb") as contents:
            while piece := contents.read(_PIECE):
                write(piece)
        try:
            counts.update(forward_rows(stream, header, entries, write))
        except ImportStopped as found:  # pg_restore would only say that its input ended
            stopped.append(found)

    words = ClientErrorParser()

    def read_line(line: str) -> None:
        words.read_line(line)
        if not is_verbose_output(line):
            run.reporter.log_client_line(line)

    passfile = write_passfile(run.shadow, run.environment.private, "target.pgpass")
    arguments = build_restore_arguments(run, "data", wanted)
    code = run.children.feed(arguments, build_client_environment(run.shadow, passfile, os.environ), read_line, give)
    passfile.unlink(missing_ok=True)
    if stopped:
        raise stopped[0]
    if code != 0:
        raise ImportStopped(translate_restore_exit(code, words))
    return counts


def restore_tar(run: ImportRun, stream: DumpStream, download: Download, exclusions: Exclusions) -> RestoredContent:
    """A tar archive and a directory in a tar hold the same files; from scratch they are restored in parallel."""
    run.archive.mkdir()
    used = 0
    for member in walk_members(stream):
        used += member.size
        if run.order.scratch_bytes is not None and used > run.order.scratch_bytes:
            raise ImportStopped(
                Failure(
                    Reason.SCRATCH_FULL,
                    f"the tar unpacks to more than {format_bytes(used)}; spec.scratch.size is"
                    f" {format_bytes(run.order.scratch_bytes)}",
                )
            )
        _save(member, run.archive / member.name)
    read_to_the_end(run, stream, download)
    contents = run.archive / TOC
    if not contents.exists():
        raise corrupt(f"the tar holds no {TOC}: it is neither a tar archive nor a directory of pg_dump")
    with contents.open("rb") as file:
        _, listed = parse_table_of_contents(file.read)
        entries = list(listed)
    passed = _plan_archive(run, entries, exclusions)
    assert passed.plan is not None  # noqa: S101 (of an archive it is there)
    _add_counts(passed, entries, _count_files(run.archive, entries))
    rewrite_definitions(contents, passed.plan.changes)
    run_restore(run, "pre-data", passed.plan.main, _ear(run), parallel=False)
    with reporting_server_progress(run, run.shadow, "postgres/rows_copied"):
        run_restore(run, "data", passed.plan.main, _ear(run))
    run.meter.begin(Stage.INDEXES, len(passed.plan.main))
    with reporting_server_progress(run, run.shadow, "postgres/index_progress"):
        run_post_data(run, passed.plan.main, _ear(run))
    return passed


def _save(member: TarMember, path: Path) -> None:
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


def _count_files(folder: Path, entries: list[TocEntry]) -> dict[int, int]:
    """Rows of every COPY, from the files that the table of contents names. Raises Stopped where one is missing."""
    counted = {}
    for entry in entries:
        if not entry.file or (not entry.has_rows and entry.kind != "TABLE DATA"):
            continue
        path, compression = _find_file(folder, entry)
        if entry.kind == "BLOBS":
            _check_list(path)
        if entry.kind == "TABLE DATA" and entry.copy_statement:
            counter = RowCounter(compression, entry.title)
            with path.open("rb") as file:
                while piece := file.read(_PIECE):
                    counter.feed(piece)
            counted[entry.dump_id] = counter.finish()
    return counted


def _find_file(folder: Path, entry: TocEntry) -> tuple[Path, Compression]:
    name = Path(entry.file).name
    if entry.kind == "BLOBS" and not (folder / name).exists():
        # A tar archive names this file otherwise than its contents do; a directory is read by its contents.
        for other in (f"blobs_{entry.dump_id}.toc", "blobs.toc"):
            if (folder / other).exists():
                (folder / name).hardlink_to(folder / other)
                break
    for ending, compression in _ENDINGS:
        if (path := folder / f"{name}{ending}").is_file():
            return path, compression
    raise corrupt(f"the file {name} of {entry.title} is not in the tar")


def _check_list(path: Path) -> None:
    """A list of large objects names a file for each; pg_restore opens whatever it names. Raises Stopped."""
    with path.open("rb") as file:
        while line := file.readline(_LONGEST_LINE):
            if not _LISTED.fullmatch(line):
                raise corrupt(f"{path.name} in the tar names a file that pg_dump would not")


def _plan_archive(run: ImportRun, entries: list[TocEntry], exclusions: Exclusions) -> RestoredContent:
    plan = plan_restore(entries, replace(exclusions, judge=build_exclusion_rule(run.order, entries)))
    left = plan.skipped_keys
    return RestoredContent(
        plan=plan,
        left=plan.left,
        filled={
            (entry.schema, entry.tag)
            for entry in entries
            if entry.kind == "MATERIALIZED VIEW DATA" and (entry.catalog, entry.oid) not in left
        },
        sequences=sum(entry.kind == "SEQUENCE SET" for entry in plan.main),
    )


def _add_counts(passed: RestoredContent, entries: list[TocEntry], counts: dict[int, int]) -> None:
    assert passed.plan is not None  # noqa: S101 (of an archive it is there)
    wanted = {entry.dump_id for entry in passed.plan.main}
    for entry in entries:
        if entry.kind != "TABLE DATA" or entry.dump_id not in wanted:
            continue
        if entry.dump_id in counts:
            passed.rows[find_copy_target(entry.copy_statement) or (entry.schema, entry.tag)] += counts[entry.dump_id]
        elif entry.has_rows or entry.file:
            passed.uncounted.add(f"{entry.schema}.{entry.tag}")


def _ear(run: ImportRun) -> Callable[[str], None]:
    return PgRestoreProgress(run.meter, {}, {}, serial=True).read_line


def run_last_entries(run: ImportRun, passed: RestoredContent) -> None:
    """Policies and row security, once the rows were counted. Raises Stopped."""
    if passed.plan is None:
        return
    head = run.environment.scratch / HEAD
    archive = head if head.exists() else None
    run_restore(run, "post-data", passed.plan.last, _ear(run), parallel=False, archive=archive)
