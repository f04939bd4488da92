"""Control characters of names, messages and dumps reach no terminal and no log.

Before, the name `a\\x1b]0;owned\\x07` of a table set the title of the terminal that showed the report, and a newline in
a name forged a line of it.
"""

import io
import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import a_running_status, an_import

from pgimport.cli.console import Console
from pgimport.cli.run_output import describe_skipped
from pgimport.log import JsonLine
from pgimport.manifest.events import build_event
from pgimport.manifest.reports import build_report_part
from pgimport.model.import_choices import SkipGroup
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import CheckStatus, PreflightCheck, PreflightReport, SkippedObject
from pgimport.model.termination_message import build_termination_message, parse_worker_result
from pgimport.model.visible_text import (
    escape_json,
    format_json,
    show_controls,
    show_controls_of_line,
    show_controls_of_model,
)
from pgimport.worker.report.reporter import Reporter
from pgimport.worker.report.result_texts import change_texts

pytestmark = pytest.mark.isolation
# Title of the window, clear screen with C1's CSI, right-to-left override, a line separator, an invisible tag.
HOSTILE = "a\x1b]0;owned\x07b\x9b2Jc\u202ed\u2028e\x85f\x00g\x7fh\u2066i\U000e0041j\rk"
FORBIDDEN = [
    chr(code) for code in [*range(9), *range(11, 32), *range(127, 160), 0x061C, 0x200E, 0x200F, 0x2028, 0x2029]
]
FORBIDDEN += [chr(code) for code in [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF, 0xE0041]]


def find_forbidden(text: str) -> list[str]:
    return [character for character in FORBIDDEN if character in text]


def test_each_control_character_is_shown_as_an_escape() -> None:
    assert show_controls_of_line(HOSTILE) == (
        r"a\x1b]0;owned\x07b\x9b2Jc\u202ed\u2028e\x85f\x00g\x7fh\u2066i\U000e0041j\rk"
    )
    assert show_controls_of_line("a\n\tb") == r"a\n\tb"
    assert show_controls("a\n\tb") == "a\n\tb"
    assert show_controls("Ünïcode ✓ 数据库 👩‍💻 עברית") == "Ünïcode ✓ 数据库 👩‍💻 עברית"


@given(st.text())
def test_escapes_are_stable_and_leave_json_equal(text: str) -> None:
    shown = show_controls_of_line(text)
    assert shown == show_controls_of_line(shown)
    assert find_forbidden(shown) == []
    assert "\n" not in shown
    assert json.loads(format_json([text])) == [text]
    assert find_forbidden(format_json([text])) == []
    assert json.loads(escape_json(json.dumps({"a": text}, indent=1, ensure_ascii=False))) == {"a": text}


def test_the_command_line_shows_no_control_character() -> None:
    out, err = io.StringIO(), io.StringIO()
    console = Console(out, err, as_json=False)
    name = f"TABLE {HOSTILE}\nverified (counts)"
    console.print_step(name)
    console.print_checks(
        PreflightReport(ok=True, checks=[PreflightCheck(name="x", status=CheckStatus.PASS, detail=name)])
    )
    console.print_result(describe_skipped([SkippedObject(object=name, reason=name, group=SkipGroup.REFUSED)]))
    console.print_worker_line(json.dumps({"log": {"level": "warning", "message": name}}))
    console.fail(Failure(Reason.RESTORE_FAILED, name, name))
    text = out.getvalue() + err.getvalue()
    assert find_forbidden(text) == []
    assert "\nverified" not in text
    as_json = Console(out := io.StringIO(), err, as_json=True)
    as_json.print_worker_line(json.dumps({"log": {"message": name}}, ensure_ascii=False))
    as_json.print_result([], name=name)
    assert find_forbidden(out.getvalue()) == []
    assert [json.loads(line) for line in out.getvalue().splitlines()] == [
        {"log": {"message": name}},
        {"result": {"ok": True, "name": name}},
    ]


def test_log_lines_have_none() -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        record = logging.LogRecord("pgimport", logging.ERROR, "f", 1, "%s", (HOSTILE,), sys.exc_info())
    line = JsonLine().format(record)
    assert find_forbidden(line) == []
    assert json.loads(line)["message"] == HOSTILE


def test_the_workers_lines_and_result_have_none() -> None:
    stream = io.StringIO()
    reporter = Reporter(stream)
    reporter.log(HOSTILE, detail=[HOSTILE])
    reporter.log_client_line(HOSTILE)
    reporter.plan([HOSTILE])
    assert find_forbidden(stream.getvalue() + reporter.tail() + reporter.client_tail()) == []
    message = f'{{"step": "import", "ok": false, "skipped": [{json.dumps({"object": HOSTILE, "reason": HOSTILE})}]}}'
    result = parse_worker_result(message)
    assert result is not None
    assert find_forbidden(build_termination_message(result)) == []
    changed = change_texts(result, reporter.conceal)
    assert find_forbidden(changed.skipped[0].object + changed.skipped[0].reason) == []


def test_status_event_and_report_have_none() -> None:
    """A pod that is not ours may have written the texts."""
    status = a_running_status(error=HOSTILE)
    shown = show_controls_of_model(status)
    assert find_forbidden(shown.model_dump_json()) == []
    assert show_controls_of_model(shown) is shown
    assert a_running_status() == show_controls_of_model(a_running_status())
    meta = an_import().meta
    event = build_event("PostgresImport", meta, "Failed", HOSTILE, warning=True)
    assert find_forbidden(event["note"]) == []
    report = build_report_part(meta, 1, json.dumps({"skipped": HOSTILE}, ensure_ascii=False) + "\n")
    (text,) = report["data"].values()
    assert find_forbidden(text) == []
    assert json.loads(text) == {"skipped": HOSTILE}
