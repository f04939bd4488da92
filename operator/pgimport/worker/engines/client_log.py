"""Sends the stderr lines of PostgreSQL's client programs to the log."""

from collections.abc import Callable

from pgimport.worker.postgres.client_values import ClientLines
from pgimport.worker.postgres.errors import is_verbose_output
from pgimport.worker.report.reporter import Reporter


def log_client_lines(reporter: Reporter, on_line: Callable[[str], None]) -> Callable[[str], None]:
    """Returns a function that gives each line to `on_line`, and logs it if it is more than `--verbose` output."""

    lines = ClientLines()

    def handle_line(line: str) -> None:
        on_line(line)
        if not is_verbose_output(line) and (text := lines.hide(line)) is not None:
            reporter.log_client_line(text)

    return handle_line
