"""Runs pg_restore of the target's major version, section by section."""

import os
from collections.abc import Callable, Collection
from enum import Enum
from pathlib import Path
from typing import Literal

from pgimport.worker.archive.selection import format_use_list
from pgimport.worker.archive.toc import Section, TocEntry, find_owner_entries
from pgimport.worker.engines.client_log import log_client_lines
from pgimport.worker.postgres.client_probe import explain_restore_exit
from pgimport.worker.postgres.clients import WriteInput
from pgimport.worker.postgres.endpoints import CLIENT_DBNAME, build_client_environment, write_passfile
from pgimport.worker.postgres.errors import ClientErrorParser, ImportStopped
from pgimport.worker.run import ImportRun

SectionName = Literal["pre-data", "data", "post-data"]
OnLine = Callable[[str], None]
RESTORE_OPTIONS = ("--exit-on-error", "--no-owner", "--no-privileges", "--no-tablespaces", "--no-password", "--verbose")
# Each object holds a few locks until its transaction ends, and a server can hold some thousands of locks.
OBJECTS_PER_TRANSACTION = 100
TRANSACTION_SIZE_VERSION = 170000  # the first pg_restore with --transaction-size
# Kinds that are restored after the rows. Progress counts them.
KINDS_AFTER_ROWS = frozenset({"INDEX", "INDEX ATTACH", "CONSTRAINT", "FK CONSTRAINT", "TRIGGER", "RULE", "STATISTICS"})
_SETTING_KINDS = frozenset({"ENCODING", "STDSTRINGS", "SEARCHPATH"})
_SECTIONS: dict[SectionName, Section] = {
    "pre-data": Section.PRE_DATA,
    "data": Section.DATA,
    "post-data": Section.POST_DATA,
}
KINDS_AFTER_STRUCTURE = KINDS_AFTER_ROWS | {"TABLE DATA", "BLOBS"}


class PgRestore:
    """Restores entries of an archive into the shadow of one import."""

    def __init__(self, run: ImportRun) -> None:
        """Raises ImportStopped if pg_restore of the target's version is missing or lacks security fixes."""
        self._run = run
        self.program = run.clients.find_restore(run.target_major)

    def restore(
        self,
        section: SectionName,
        entries: list[TocEntry],
        on_line: OnLine,
        *,
        parallel: bool = True,
        archive: Path | None = None,
    ) -> None:
        """Restores these entries of one section. `archive` defaults to the folder in scratch. Raises ImportStopped."""
        if not has_objects(entries, section):
            return
        run = self._run
        parallelism = [f"--jobs={run.jobs}"] if parallel else self._transaction_size()
        arguments = [*self._build_arguments(section, entries), *parallelism, str(archive or run.archive_folder)]
        passfile, environ = self._log_in()
        exit_code, errors = run.processes.run(arguments, environ, log_client_lines(run.reporter, on_line))
        passfile.unlink(missing_ok=True)
        if exit_code != 0:
            raise ImportStopped(explain_restore_exit(exit_code, errors, run.shadow_sessions))

    def restore_rows_from(self, entries: list[TocEntry], write_input: WriteInput) -> None:
        """Restores rows from an archive that `write_input` writes to standard input. Raises ImportStopped."""
        run, errors = self._run, ClientErrorParser()
        arguments = self._build_arguments("data", entries)
        passfile, environ = self._log_in()
        exit_code = run.processes.run_with_input(
            arguments, environ, log_client_lines(run.reporter, errors.read_line), write_input
        )
        passfile.unlink(missing_ok=True)
        if exit_code != 0:
            raise ImportStopped(explain_restore_exit(exit_code, errors, run.shadow_sessions))

    def restore_post_data(
        self,
        entries: list[TocEntry],
        on_line: OnLine,
        *,
        archive: Path | None = None,
        built: Collection[int] = (),
    ) -> None:
        """Restores indexes and keys in parallel, then objects that only write to the catalogs, then foreign keys.

        `built`: dump ids of entries that exist already. Raises ImportStopped.

        `ALTER INDEX … ATTACH PARTITION` must not run in parallel: two of them on one partitioned table can deadlock
        (SQLSTATE 40P01). pg_restore never runs two statements at once that lock the same table, but ignores partitions.
        """
        for phase, phase_entries in plan_post_data(entries, built).items():
            parallel = phase is not PostDataPhase.CATALOGUE
            self.restore("post-data", phase_entries, on_line, parallel=parallel, archive=archive)

    def _log_in(self) -> tuple[Path, dict[str, str]]:
        passfile = write_passfile(self._run.shadow, self._run.environment.private, "target.pgpass")
        return passfile, build_client_environment(self._run.shadow_sessions.client_endpoint, passfile, os.environ)

    def _transaction_size(self) -> list[str]:
        """Returns the option that groups statements into transactions, if the client has it.

        With 2,000 tables, a commit after each statement took half of the time.
        """
        if self._run.order.target.server_version_num < TRANSACTION_SIZE_VERSION:
            return []
        return [f"--transaction-size={OBJECTS_PER_TRANSACTION}"]

    def _build_arguments(self, section: SectionName, entries: list[TocEntry]) -> list[str]:
        """Writes the list of entries into scratch and returns all arguments but the archive."""
        use_list = self._run.environment.scratch / "use-list"
        use_list.write_text(format_use_list(entries), encoding="ascii")
        return [
            str(self.program),
            *RESTORE_OPTIONS,
            f"--section={section}",
            f"--use-list={use_list}",
            f"--dbname={CLIENT_DBNAME}",
        ]


def has_objects(entries: list[TocEntry], section: SectionName) -> bool:
    """Returns whether pg_restore would create an object. Pure.

    Entries of session settings do not count: every archive has them. An entry without a section, such as a comment,
    counts in each section.
    """
    return any(
        entry.section in (_SECTIONS[section], Section.NONE) and entry.kind not in _SETTING_KINDS for entry in entries
    )


class PostDataPhase(Enum):
    """The phases of post-data, in the order in which they run."""

    INDEXES = 1
    CATALOGUE = 2  # not in parallel: each statement is short, and some would deadlock
    FOREIGN_KEYS = 3


def plan_post_data(entries: list[TocEntry], built: Collection[int]) -> dict[PostDataPhase, list[TocEntry]]:
    """Sorts the post-data entries into phases, without those whose dump id is in `built`. Pure."""
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


def _find_phase(entry: TocEntry, partitions: set[int]) -> PostDataPhase:
    if entry.kind == "FK CONSTRAINT" and partitions.isdisjoint(entry.dependencies):
        return PostDataPhase.FOREIGN_KEYS
    return PostDataPhase.INDEXES if entry.kind in ("INDEX", "CONSTRAINT") else PostDataPhase.CATALOGUE
