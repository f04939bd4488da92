"""Runs pg_restore of the target's major version, which restores rows and large objects."""

import os
from collections.abc import Callable
from pathlib import Path

from pgimport.worker.archive.selection import format_use_list
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.engines.client_log import log_client_lines
from pgimport.worker.postgres.client_probe import explain_restore_exit
from pgimport.worker.postgres.clients import WriteInput
from pgimport.worker.postgres.endpoints import CLIENT_DBNAME, build_client_environment, write_passfile
from pgimport.worker.postgres.errors import ClientErrorParser, ImportStopped
from pgimport.worker.run import ImportRun

OnLine = Callable[[str], None]
RESTORE_OPTIONS = (
    "--section=data",
    "--exit-on-error",
    "--no-owner",
    "--no-privileges",
    "--no-tablespaces",
    "--no-password",
    "--verbose",
)


class PgRestore:
    """Restores the rows of an archive into the shadow of one import."""

    def __init__(self, run: ImportRun) -> None:
        """Raises ImportStopped if pg_restore of the target's version is missing or lacks security fixes."""
        self._run = run
        self.program = run.clients.find_restore(run.target_major)

    def restore_rows(self, entries: list[TocEntry], on_line: OnLine) -> None:
        """Restores rows in parallel from the folder in scratch. Raises ImportStopped."""
        if not entries:
            return
        run = self._run
        arguments = [*self._build_arguments(entries), f"--jobs={run.jobs}", str(run.archive_folder)]
        passfile, environ = self._log_in()
        with run.interruption.ending(run.processes.end_all):
            exit_code, errors = run.processes.run(arguments, environ, log_client_lines(run.reporter, on_line))
        passfile.unlink(missing_ok=True)
        if exit_code != 0:
            raise ImportStopped(explain_restore_exit(exit_code, errors, run.shadow_sessions))

    def restore_rows_from(self, entries: list[TocEntry], write_input: WriteInput) -> None:
        """Restores rows from an archive that `write_input` writes to standard input. Raises ImportStopped."""
        run, errors = self._run, ClientErrorParser()
        arguments = self._build_arguments(entries)
        passfile, environ = self._log_in()
        with run.interruption.ending(run.processes.end_all):
            exit_code = run.processes.run_with_input(
                arguments, environ, log_client_lines(run.reporter, errors.read_line), write_input
            )
        passfile.unlink(missing_ok=True)
        if exit_code != 0:
            raise ImportStopped(explain_restore_exit(exit_code, errors, run.shadow_sessions))

    def _log_in(self) -> tuple[Path, dict[str, str]]:
        passfile = write_passfile(self._run.shadow, self._run.environment.private, "target.pgpass")
        return passfile, build_client_environment(self._run.shadow_sessions.client_endpoint, passfile, os.environ)

    def _build_arguments(self, entries: list[TocEntry]) -> list[str]:
        """Writes the list of entries into scratch and returns all arguments but the archive."""
        use_list = self._run.environment.scratch / "use-list"
        use_list.write_text(format_use_list(entries), encoding="ascii")
        return [
            str(self.program),
            *RESTORE_OPTIONS,
            f"--use-list={use_list}",
            f"--dbname={CLIENT_DBNAME}",
        ]
