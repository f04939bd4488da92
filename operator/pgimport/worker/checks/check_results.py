"""Builds the result of each check, and the report of all of them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pgimport.model.order import Order
from pgimport.model.preflight_checks import CheckName
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import (
    CheckStatus,
    FailureReport,
    PreflightCheck,
    PreflightReport,
    SkippedObject,
    SourceInfo,
    WorkerResult,
)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check, with the failure that the import reports if no earlier check failed."""

    check: PreflightCheck
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class SourceReport:
    """Everything that a preflight reports about a source."""

    results: list[CheckResult]
    facts: SourceInfo | None = None
    skipped: list[SkippedObject] = field(default_factory=list)
    skipped_unnamed: int = 0  # number of skipped objects that `skipped` does not list


@dataclass(frozen=True, slots=True)
class NotChecked:
    """Takes the place of rows that could not be read."""

    reason: str


ROW_LIMIT = 5000  # the LIMIT of the queries that list objects: their rows must fit into memory
TRUNCATED = NotChecked(f"the query returned {ROW_LIMIT} objects that the import skips, and no others")


def passed_check(name: CheckName, detail: str) -> CheckResult:
    return CheckResult(PreflightCheck(name=name, status=CheckStatus.PASS, detail=detail))


def warned_check(name: CheckName, detail: str) -> CheckResult:
    return CheckResult(PreflightCheck(name=name, status=CheckStatus.WARN, detail=detail))


def failed_check(name: CheckName, reason: Reason, message: str, advice: str = "", hint: str = "") -> CheckResult:
    """Puts the advice into the check and into the failure, because a user may see only one of them.

    `hint` replaces the hint of the reason.
    """
    detail = join_sentences([message, *([advice] if advice else [])])
    return CheckResult(PreflightCheck(name=name, status=CheckStatus.FAIL, detail=detail), Failure(reason, detail, hint))


def unknown_check(name: CheckName, rows: NotChecked) -> CheckResult:
    """Returns a warning: a check that could not run must not look like one that passed."""
    return warned_check(name, f"this could not be checked: {rows.reason}")


def join_sentences(sentences: Iterable[str]) -> str:
    """Joins sentences that have no full stops. Adds none at the end, so that the caller can append text."""
    return ". ".join(sentences)


def build_result(order: Order, report: SourceReport) -> WorkerResult:
    """Returns the worker's result. Its failure is that of the first check that failed."""
    failures = [result.failure for result in report.results if result.failure is not None]
    preflight = PreflightReport(
        checks=[result.check for result in report.results],
        ok=not failures,
        source=report.facts,
        storage_limit_bytes=order.storage_limit_bytes,
        target_version=order.target.server_version,
        skipped=report.skipped,
        more=report.skipped_unnamed or None,
    )
    first = FailureReport.from_failure(failures[0]) if failures else None
    return WorkerResult(step="preflight", ok=preflight.ok, failure=first, preflight=preflight)
