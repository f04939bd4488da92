"""Prints progress, results and failures of `pgimport run`: text for a terminal, or JSON lines with --json."""

import json
import os
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from pgimport.cli.hints import find_hint, name_options
from pgimport.cli.messages import format_bytes, print_error
from pgimport.model.reasons import MEANINGS, Failure
from pgimport.model.result import CheckStatus, PreflightReport
from pgimport.model.status import Progress
from pgimport.model.visible_text import escape_json, show_controls_of_line

BAR_CELLS = 24
_BESIDE_BAR = 17  # columns for the phase, the percentage and the end of the line
DEFAULT_COLUMNS = 80
_CLEAR_LINE = "\r\x1b[2K"
_CHECK_SIGNS = {CheckStatus.PASS: "✓", CheckStatus.WARN: "!", CheckStatus.FAIL: "✗"}
EXIT_FAILED = 1


def format_progress(progress: Progress, columns: int) -> str:
    """Formats one line with phase, bar and percentage, then tables, bytes, rate and remaining time if known.

    What does not fit into the columns is left out: only one line can be replaced by the next one.
    """
    cells = max(0, min(BAR_CELLS, columns - _BESIDE_BAR))
    filled = cells * max(0, min(progress.percent, 100)) // 100
    line = f"{progress.phase.value:<9} {'█' * filled}{'░' * (cells - filled)} {progress.percent:>3} %"
    for part in _list_details(progress):
        if len(line) + len(part) + 2 >= columns:
            break
        line += f"  {part}"
    return line[: max(0, columns - 1)]


def _list_details(progress: Progress) -> Iterator[str]:
    if progress.tables_total:
        yield f"{progress.tables_done or 0}/{progress.tables_total} tables"
    if progress.bytes_total:
        yield f"{format_bytes(progress.bytes_done or 0)} of {format_bytes(progress.bytes_total)}"
    if progress.bytes_per_second:
        yield f"{format_bytes(progress.bytes_per_second)}/s"
    if progress.eta_seconds:
        yield f"{progress.eta_seconds} s left"


def _count_columns(terminal: TextIO) -> int:
    """Returns the width of a terminal, which can change."""
    try:
        return os.get_terminal_size(terminal.fileno()).columns or DEFAULT_COLUMNS
    except OSError:
        return DEFAULT_COLUMNS


def find_exit_code(failure: Failure) -> int:
    """Returns the exit code of the reason, or 1 if it has none."""
    return MEANINGS[failure.reason].exit_code or EXIT_FAILED


class Console:
    """Writes results to `out` and everything else to `err`. With `as_json`, all JSON lines go to `out`."""

    def __init__(self, out: TextIO, err: TextIO, *, as_json: bool) -> None:
        self._out, self._err, self._json = out, err, as_json
        has_cursor = err.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
        self._shows_progress = has_cursor and not as_json
        self._has_progress_line = False

    def print_step(self, text: str) -> None:
        """Prints a step, a note or a warning. Prints nothing with `as_json`."""
        if not self._json:
            self._clear_progress()
            print(show_controls_of_line(text), file=self._err, flush=True)

    def print_worker_line(self, line: str) -> None:
        """Prints progress and warnings of a line of the worker's output.

        Errors are not printed: the failure at the end has the same text.
        """
        if self._json:
            print(escape_json(line), file=self._out, flush=True)
            return
        message, progress = _parse_worker_line(line)
        log = message.get("log")
        if progress is not None and self._shows_progress:
            self._draw_progress(format_progress(progress, _count_columns(self._err)))
        elif isinstance(log, dict) and log.get("level") == "warning":
            self.print_step(name_options(str(log.get("message", ""))))

    def print_checks(self, preflight: PreflightReport | None) -> None:
        """Prints one line for each check of the preflight."""
        for check in preflight.checks if preflight else ():
            self.print_step(f"  {_CHECK_SIGNS[check.status]} {check.name}: {name_options(check.detail)}")

    def print_result(self, lines: Iterable[str], **fields: Any) -> None:
        """Prints the result of a successful run: `lines` for people, `fields` as JSON."""
        self._clear_progress()
        if self._json:
            self._print_json_result(ok=True, **fields)
        else:
            print("\n".join(show_controls_of_line(line) for line in lines), file=self._out, flush=True)

    def fail(self, failure: Failure) -> int:
        """Prints the failure as one line and returns the exit code."""
        self._clear_progress()
        hint, message = find_hint(failure), name_options(failure.message)
        if self._json:
            self._print_json_result(
                ok=False,
                reason=failure.reason.value,
                message=message,
                hint=hint,
                retryClassification=failure.classification.value,
            )
        suffix = f" (hint: {hint})" if hint else ""
        print_error(f"pgimport: {failure.reason.value}: {message}{suffix}", self._err)
        return find_exit_code(failure)

    def _print_json_result(self, **fields: Any) -> None:
        print(escape_json(json.dumps({"result": fields}, ensure_ascii=False)), file=self._out, flush=True)

    def _draw_progress(self, text: str) -> None:
        self._err.write(f"{_CLEAR_LINE}{text}")
        self._err.flush()
        self._has_progress_line = True

    def _clear_progress(self) -> None:
        if self._has_progress_line:
            self._err.write(_CLEAR_LINE)
            self._has_progress_line = False


def _parse_worker_line(line: str) -> tuple[dict[str, Any], Progress | None]:
    """Parses a line of the worker. Returns an empty message if it is no JSON object or its progress is not valid."""
    try:
        message = json.loads(line)
        if not isinstance(message, dict):
            return {}, None
        return message, Progress.model_validate(message["progress"]) if "progress" in message else None
    except (ValueError, TypeError):
        return {}, None
