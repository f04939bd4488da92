"""Runs pg_dump of the source's major version. Its output goes to the scratch volume."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from pgimport.worker.archive.toc import TOC_FILE, TocEntry, parse_table_of_contents
from pgimport.worker.engines.client_log import log_client_lines
from pgimport.worker.postgres.client_probe import DumpSource, explain_dump_exit
from pgimport.worker.postgres.endpoints import DUMP_DBNAME, build_client_environment, write_passfile
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.run import ImportRun
from pgimport.worker.scope.table_locks import WAIT_SECONDS

# Exclude what no import copies. The archive's table of contents is filtered too.
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
    f"--lock-wait-timeout={WAIT_SECONDS}s",
    "--quote-all-identifiers",
    "--verbose",
)


def run_pg_dump(
    run: ImportRun,
    program: Path,
    dump_source: DumpSource,
    options: list[str],
    on_line: Callable[[str], None],
    beside: Callable[[], None],
) -> None:
    """Dumps the source as of the snapshot into `run.archive_folder`. `options` select what is dumped.

    `on_line` gets each line of stderr. `beside` is called in a thread while pg_dump runs. Raises ImportStopped.
    """
    passfile = write_passfile(dump_source.client, run.environment.private, "source.pgpass")
    arguments = [
        str(program),
        *DUMP_OPTIONS,
        *options,
        f"--snapshot={dump_source.snapshot_id}",
        f"--file={run.archive_folder}",
        f"--dbname={DUMP_DBNAME}",
    ]
    environ = build_client_environment(dump_source.client, passfile, os.environ)
    with run.interruption.ending(run.processes.end_all), _running(run, beside):
        exit_code, errors = run.processes.run(arguments, environ, log_client_lines(run.reporter, on_line))
    passfile.unlink(missing_ok=True)
    if exit_code != 0:
        raise ImportStopped(explain_dump_exit(exit_code, errors, dump_source, run.environment.scratch))


@contextmanager
def _running(run: ImportRun, task: Callable[[], None]) -> Iterator[None]:
    """Runs the task in a thread beside the block, and waits for its end. If it fails, the block is interrupted.

    Raises what the task raises.
    """

    def perform() -> None:
        try:
            task()
        except ImportStopped as stopped:
            run.interruption.request(stopped.failure)
            raise

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="beside-pg-dump") as executor:
        future = executor.submit(perform)
        yield
        future.result()


def read_archive_entries(archive_folder: Path) -> list[TocEntry]:
    """Returns the table of contents of a directory archive. Raises ImportStopped if it is damaged."""
    with (archive_folder / TOC_FILE).open("rb") as file:
        _, entries = parse_table_of_contents(file.read)
        return list(entries)
