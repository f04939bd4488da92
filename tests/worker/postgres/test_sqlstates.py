"""Every SQLSTATE that PostgreSQL documents has a cause, and each cause has a reason at both ends."""

import re
from pathlib import Path

import pytest
from tests.support.postgres import INSTALLATIONS, installation

from pgimport.model.reasons import MEANINGS, Reason, RetryClassification
from pgimport.worker.postgres.server_errors import SOURCE_ADVICE, TARGET_ADVICE
from pgimport.worker.postgres.sqlstates import (
    CLASSES,
    CODES,
    SOURCE_REASONS,
    TARGET_REASONS,
    Cause,
    find_source_reason,
    find_target_reason,
)


def read_sqlstates() -> set[str]:
    """Reads appendix A in the form in which each server installs it."""
    files = [installation(major) / "share" / "postgresql" / "errcodes.txt" for major in INSTALLATIONS]
    return {state for path in files for state in re.findall(r"^([0-9A-Z]{5}) ", Path(path).read_text(), re.MULTILINE)}


def test_every_documented_sqlstate_has_a_class() -> None:
    sqlstates = read_sqlstates()
    assert len(sqlstates) > 250
    assert {state[:2] for state in sqlstates} <= set(CLASSES)
    assert set(CODES) <= sqlstates
    assert {*SOURCE_ADVICE, *TARGET_ADVICE} <= sqlstates


def test_each_cause_has_a_reason_at_both_ends() -> None:
    assert set(SOURCE_REASONS) == set(TARGET_REASONS) == set(Cause)


@pytest.mark.parametrize(
    ("sqlstate", "at_source", "at_target"),
    [
        ("57014", Reason.SOURCE_CANCELLED, Reason.TARGET_CONFLICT),
        ("40P01", Reason.SOURCE_CHANGED, Reason.TARGET_CONFLICT),
        ("40001", Reason.SOURCE_CHANGED, Reason.TARGET_CONFLICT),
        ("55P03", Reason.SOURCE_LOCKED, Reason.TARGET_CONFLICT),
        ("53200", Reason.SOURCE_OUT_OF_RESOURCES, Reason.TARGET_OUT_OF_RESOURCES),
        ("53100", Reason.SOURCE_OUT_OF_RESOURCES, Reason.TARGET_FULL),
        ("3F000", Reason.DUMP_FAILED, Reason.RESTORE_FAILED),
        ("25006", Reason.DUMP_FAILED, Reason.RESTORE_FAILED),
        ("72000", Reason.SOURCE_CHANGED, Reason.TARGET_CONFLICT),
        (None, Reason.SOURCE_UNREACHABLE, Reason.TARGET_LOST),
    ],
)
def test_a_sqlstate_has_a_reason_at_each_end(sqlstate: str | None, at_source: Reason, at_target: Reason) -> None:
    assert find_source_reason(sqlstate) is at_source
    assert find_target_reason(sqlstate) is at_target


def test_a_lost_session_a_deadlock_and_a_cancelled_statement_are_transient() -> None:
    for sqlstate in ("08006", "40001", "40P01", "55P03", "57014", "57P01", "57P03", "53300"):
        for reason in (find_source_reason(sqlstate), find_target_reason(sqlstate)):
            assert MEANINGS[reason].classification is RetryClassification.TRANSIENT, (sqlstate, reason)
