"""The dump and its way back: pg_dump on the snapshot into scratch, pg_restore from there by sections."""

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal

from pgimport.model.order import Order
from pgimport.worker.archive import toc
from pgimport.worker.archive.selection import RestorePlan, format_use_list
from pgimport.worker.archive.toc import TocEntry, find_owner_entries, parse_table_of_contents
from pgimport.worker.environment import WorkerEnvironment
from pgimport.worker.postgres.clients import ClientProcesses, ClientPrograms
from pgimport.worker.postgres.endpoints import CLIENT_DBNAME, Endpoint, build_client_environment, write_passfile
from pgimport.worker.postgres.errors import (
    ImportStopped,
    is_verbose_output,
    translate_dump_exit,
    translate_restore_exit,
)
from pgimport.worker.report.progress import ProgressMeter
from pgimport.worker.report.reporter import Reporter

SectionName = Literal["pre-data", "data", "post-data"]
# What never comes along, said to pg_dump already; the table of contents is filtered besides.
DUMP_OPTIONS = (
    "--format=directory",
    "--no-owner",
    "--no-privileges",
    "--no-publications",
    "--no-subscriptions",
    "--no-security-labels",
    "--no-tablespaces",
    "--no-sync",
    "--no-password",
    "--quote-all-identifiers",
    "--verbose",
)
RESTORE_OPTIONS = ("--exit-on-error", "--no-owner", "--no-privileges", "--no-tablespaces", "--no-password", "--verbose")
OBJECTS_OF_A_TRANSACTION = 100  # each holds a few locks until its end, and a server has room for some thousands
# Kinds that come after the rows; only their number matters, for the percentage.
AFTER_ROWS = frozenset({"INDEX", "INDEX ATTACH", "CONSTRAINT", "FK CONSTRAINT", "TRIGGER", "RULE", "STATISTICS"})
LATER = AFTER_ROWS | {"TABLE DATA", "BLOBS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRun:
    """Everything that one import works with."""

    order: Order
    environment: WorkerEnvironment
    clients: ClientPrograms
    children: ClientProcesses
    reporter: Reporter
    meter: ProgressMeter
    shadow: Endpoint
    restore: Path  # pg_restore of the target's major

    @property
    def archive(self) -> Path:
        return self.environment.scratch / "dump"

    @property
    def jobs(self) -> int:
        return max(self.order.jobs, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveImportRun(ImportRun):
    """From a running server."""

    source: Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyResult:
    """What has come into the shadow, by whichever way."""

    contents: RestorePlan
    notes: list[str] = field(default_factory=list)
    counts: dict[int, int] | None = None  # oid → rows that the source sent; None: nobody counted
    analyzed: frozenset[tuple[str, str]] = frozenset()  # tables with fresh statistics


def run_dump(
    run: LiveImportRun,
    program: Path,
    snapshot: str,
    options: list[str],
    read_line: Callable[[str], None],
    source: Endpoint | None = None,
) -> None:
    """Dump the source as the snapshot shows it into scratch, or what of it the options want. Raises Stopped.

    `source`: where pg_dump finds it, if not where we do.
    """
    source = source or run.source
    passfile = write_passfile(source, run.environment.private, "source.pgpass")
    arguments = [
        str(program),
        *DUMP_OPTIONS,
        *options,
        f"--snapshot={snapshot}",
        f"--file={run.archive}",
        f"--dbname={CLIENT_DBNAME}",
    ]
    code, words = run.children.run(
        arguments, build_client_environment(source, passfile, os.environ), _both(run, read_line)
    )
    passfile.unlink(missing_ok=True)
    if code != 0:
        raise ImportStopped(translate_dump_exit(code, words))


def read_archive_entries(run: ImportRun) -> list[TocEntry]:
    """The dump's table of contents. Raises Stopped."""
    with (run.archive / "toc.dat").open("rb") as file:
        _, entries = parse_table_of_contents(file.read)
        return list(entries)


def run_restore(
    run: ImportRun,
    section: SectionName,
    entries: list[TocEntry],
    read_line: Callable[[str], None],
    parallel: bool = True,
    archive: Path | None = None,
) -> None:
    """Restore these entries of one section into the shadow, from scratch's own archive or another. Raises Stopped."""
    if not entries:
        return
    passfile = write_passfile(run.shadow, run.environment.private, "target.pgpass")
    arguments = [
        *build_restore_arguments(run, section, entries),
        *([f"--jobs={run.jobs}"] if parallel else _in_transactions(run)),
        str(archive or run.archive),
    ]
    code, words = run.children.run(
        arguments, build_client_environment(run.shadow, passfile, os.environ), _both(run, read_line)
    )
    passfile.unlink(missing_ok=True)
    if code != 0:
        raise ImportStopped(translate_restore_exit(code, words))


def _in_transactions(run: ImportRun) -> list[str]:
    """A commit for each statement took half of the time of 2,000 tables; older clients know no other way."""
    return [f"--transaction-size={OBJECTS_OF_A_TRANSACTION}"] if run.order.target.server_version_num >= 170000 else []


def run_post_data(
    run: ImportRun,
    entries: list[TocEntry],
    read_line: Callable[[str], None],
    archive: Path | None = None,
    built: Collection[int] = (),
) -> None:
    """Indexes and keys side by side, then what only writes into catalogues, then foreign keys. Raises Stopped.

    `built`: dump ids of what is there already.

    pg_restore keeps two statements apart that lock one table, but knows no partitions: `ALTER INDEX … ATTACH PARTITION`
    beside another one of the same table was seen to end as a deadlock (SQLSTATE 40P01).
    """
    parted = {one for entry in entries if entry.kind == "TABLE ATTACH" for one in entry.dependencies}
    homes = find_owner_entries(entries)
    phases: dict[PostDataPhase, list[TocEntry]] = {phase: [] for phase in PostDataPhase}
    written: set[int] = set()  # a view that groups by a key comes after it, and its own indexes after the view
    for entry in entries:
        home = homes[entry.dump_id]
        if home.section is toc.Section.POST_DATA and entry.dump_id not in built:
            phase = _find_phase(home, parted)
            if phase is PostDataPhase.INDEXES and not written.isdisjoint(home.dependencies):
                phase = PostDataPhase.CATALOGUE
            if phase is PostDataPhase.CATALOGUE:
                written.add(entry.dump_id)
            phases[phase].append(entry)
    for phase, chosen in phases.items():
        run_restore(run, "post-data", chosen, read_line, parallel=phase is not PostDataPhase.CATALOGUE, archive=archive)


class PostDataPhase(Enum):
    """In their order."""

    INDEXES = 1
    CATALOGUE = 2  # takes no time, one after the other
    FOREIGN_KEYS = 3


def _find_phase(entry: TocEntry, parted: set[int]) -> PostDataPhase:
    if entry.kind == "FK CONSTRAINT" and parted.isdisjoint(entry.dependencies):
        return PostDataPhase.FOREIGN_KEYS
    return PostDataPhase.INDEXES if entry.kind in ("INDEX", "CONSTRAINT") else PostDataPhase.CATALOGUE


def build_restore_arguments(run: ImportRun, section: SectionName, entries: list[TocEntry]) -> list[str]:
    """All but the archive, which may come by standard input; writes the list that it names."""
    chosen = run.environment.scratch / "chosen"
    chosen.write_text(format_use_list(entries), encoding="ascii")
    return [
        str(run.restore),
        *RESTORE_OPTIONS,
        f"--section={section}",
        f"--use-list={chosen}",
        f"--dbname={CLIENT_DBNAME}",
    ]


def _both(run: ImportRun, read_line: Callable[[str], None]) -> Callable[[str], None]:
    """Each line of a client goes to `hear`, and what is no chatter to the log."""

    def listen(line: str) -> None:
        read_line(line)
        if not is_verbose_output(line):
            run.reporter.log_client_line(line)

    return listen
