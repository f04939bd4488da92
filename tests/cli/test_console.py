"""What is shown: a bar on a terminal, lines of JSON for a program, one clear line for a failure."""

import io
import json

import pytest

from pgimport.cli.console import Console, find_exit_code, format_bytes, format_progress
from pgimport.model.reasons import Failure, Reason
from pgimport.model.status import ImportPhase, Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


PROGRESS = Progress(
    phase=ImportPhase.DATA, percent=50, tables_done=3, tables_total=8, bytes_done=1_234_567, bytes_total=2_500_000_000,
    bytes_per_second=35_000_000, eta_seconds=71,
)  # fmt: skip


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1_234_567, "1.2 MB"), (5 * 10**15, "5000.0 TB")],
    ids=["nothing", "bytes", "megabytes", "beyond"],
)
def test_bytes_are_readable(count: int, text: str) -> None:
    assert format_bytes(count) == text


def test_a_progress_line_says_what_is_known() -> None:
    assert format_progress(PROGRESS) == (
        "data      ████████████░░░░░░░░░░░░  50 %  3/8 tables  1.2 MB of 2.5 GB  35.0 MB/s  71 s left"
    )
    assert format_progress(Progress(phase=ImportPhase.SCHEMA)) == "schema    ░░░░░░░░░░░░░░░░░░░░░░░░   0 %"


def test_a_terminal_shows_one_line_that_moves() -> None:
    out, err = io.StringIO(), Terminal()
    console = Console(out, err, as_json=False)
    console.listen(json.dumps({"progress": PROGRESS.to_json()}))
    console.say("a step")
    assert err.getvalue() == f"\r\x1b[2K{format_progress(PROGRESS)}\r\x1b[2Ka step\n"
    assert out.getvalue() == ""


def test_a_pipe_shows_no_bar() -> None:
    err = io.StringIO()
    Console(io.StringIO(), err, as_json=False).listen(json.dumps({"progress": PROGRESS.to_json()}))
    assert err.getvalue() == ""


@pytest.mark.parametrize("line", ["", "no json", "[1]", '"text"', '{"progress": 3}', '{"log": "x"}', "{}"])
def test_a_strange_line_disturbs_nothing(line: str) -> None:
    err = Terminal()
    Console(io.StringIO(), err, as_json=False).listen(line)
    assert err.getvalue() == ""


def test_warnings_of_the_worker_are_shown() -> None:
    err = io.StringIO()
    Console(io.StringIO(), err, as_json=False).listen('{"log": {"level": "warning", "message": "look"}}')
    assert err.getvalue() == "look\n"


@pytest.mark.parametrize(
    ("reason", "code"),
    [(Reason.SOURCE_AUTH_FAILED, 66), (Reason.TARGET_NOT_EMPTY, 1), (Reason.SCRATCH_FULL, 41)],
    ids=str,
)
def test_the_exit_code_is_the_reasons_own_or_one(reason: Reason, code: int) -> None:
    assert find_exit_code(Failure(reason, "x")) == code


def test_a_failure_is_one_line_and_a_result_for_a_program() -> None:
    out, err = io.StringIO(), io.StringIO()
    assert Console(out, err, as_json=True).fail(Failure(Reason.TARGET_NOT_EMPTY, "it is full")) == 1
    assert err.getvalue() == "pgimport: TargetNotEmpty: it is full (hint: --recreate replaces it as a whole)\n"
    assert json.loads(out.getvalue())["result"]["reason"] == "TargetNotEmpty"
