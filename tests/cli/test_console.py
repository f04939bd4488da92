"""The output of `pgimport run`: a bar on a terminal, JSON lines for a program, and one line for a failure."""

import io
import json

import pytest

from pgimport.cli.console import Console, find_exit_code, format_progress
from pgimport.cli.messages import format_bytes
from pgimport.model.reasons import Failure, Reason
from pgimport.model.status import ImportPhase, Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


PROGRESS = Progress(
    phase=ImportPhase.DATA,
    percent=50,
    tables_done=3,
    tables_total=8,
    bytes_done=1_234_567,
    bytes_total=2_500_000_000,
    bytes_per_second=35_000_000,
    eta_seconds=71,
)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1_234_567, "1.2 MB"), (5 * 10**15, "5000.0 TB")],
    ids=["zero", "bytes", "megabytes", "above the last unit"],
)
def test_a_size_is_formatted_with_its_unit(count: int, text: str) -> None:
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (120, "data      ████████████░░░░░░░░░░░░  50 %  3/8 tables  1.2 MB of 2.5 GB  35.0 MB/s  71 s left"),
        (80, "data      ████████████░░░░░░░░░░░░  50 %  3/8 tables  1.2 MB of 2.5 GB"),
        (40, "data      ███████████░░░░░░░░░░░░  50 %"),
        (10, "data     "),
    ],
)
def test_a_progress_line_has_at_most_the_columns_of_the_terminal(columns: int, line: str) -> None:
    assert format_progress(PROGRESS, columns) == line
    assert len(line) < columns


def test_a_progress_line_shows_only_known_values() -> None:
    line = "schema    ░░░░░░░░░░░░░░░░░░░░░░░░   0 %"
    assert format_progress(Progress(phase=ImportPhase.SCHEMA), 80) == line


def test_a_terminal_shows_progress_on_one_line_that_the_next_text_replaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out, err = io.StringIO(), Terminal()
    console = Console(out, err, as_json=False)
    console.print_worker_line(json.dumps({"progress": PROGRESS.to_json()}))
    console.print_step("a step")
    assert err.getvalue() == f"\r\x1b[2K{format_progress(PROGRESS, 80)}\r\x1b[2Ka step\n"
    assert out.getvalue() == ""


def test_a_terminal_without_a_cursor_shows_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    err = Terminal()
    Console(io.StringIO(), err, as_json=False).print_worker_line(json.dumps({"progress": PROGRESS.to_json()}))
    assert err.getvalue() == ""


def test_output_that_is_no_terminal_shows_no_progress() -> None:
    err = io.StringIO()
    Console(io.StringIO(), err, as_json=False).print_worker_line(json.dumps({"progress": PROGRESS.to_json()}))
    assert err.getvalue() == ""


@pytest.mark.parametrize("line", ["", "no json", "[1]", '"text"', '{"progress": 3}', '{"log": "x"}', "{}"])
def test_a_line_that_is_no_message_is_ignored(line: str) -> None:
    err = Terminal()
    Console(io.StringIO(), err, as_json=False).print_worker_line(line)
    assert err.getvalue() == ""


def test_a_warning_of_the_worker_is_printed() -> None:
    err = io.StringIO()
    Console(io.StringIO(), err, as_json=False).print_worker_line(
        '{"log": {"level": "warning", "message": "low on memory"}}'
    )
    assert err.getvalue() == "low on memory\n"


@pytest.mark.parametrize(
    ("reason", "code"),
    [(Reason.SOURCE_AUTH_FAILED, 66), (Reason.TARGET_NOT_EMPTY, 1), (Reason.SCRATCH_FULL, 41)],
    ids=str,
)
def test_the_exit_code_is_that_of_the_reason_or_1(reason: Reason, code: int) -> None:
    assert find_exit_code(Failure(reason, "x")) == code


def test_a_failure_is_one_line_and_a_json_result() -> None:
    out, err = io.StringIO(), io.StringIO()
    assert (
        Console(out, err, as_json=True).fail(Failure(Reason.TARGET_NOT_EMPTY, "database shop has objects of its own"))
        == 1
    )
    assert err.getvalue() == (
        "pgimport: TargetNotEmpty: database shop has objects of its own"
        " (hint: Use --recreate to replace the database.)\n"
    )
    assert json.loads(out.getvalue())["result"]["reason"] == "TargetNotEmpty"
