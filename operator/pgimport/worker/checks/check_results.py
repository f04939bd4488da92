"""The words of every check: what was found comes in, a verdict with what to do about it goes out. Pure."""

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
    """A check, and how the import ends if it is the first that failed."""

    check: PreflightCheck
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class SourceReport:
    """All that was found out about a source."""

    judged: list[CheckResult]
    facts: SourceInfo | None = None
    left: list[SkippedObject] = field(default_factory=list)
    left_unnamed: int = 0  # further left objects


@dataclass(frozen=True, slots=True)
class NotChecked:
    """What could not be found out, and why."""

    why: str


def passed_check(name: CheckName, detail: str) -> CheckResult:
    return CheckResult(PreflightCheck(name=name, status=CheckStatus.PASS, detail=detail))


def warned_check(name: CheckName, detail: str) -> CheckResult:
    return CheckResult(PreflightCheck(name=name, status=CheckStatus.WARN, detail=detail))


def failed_check(name: CheckName, reason: Reason, message: str, cure: str = "") -> CheckResult:
    """The cure stands in both: in the report, and in the error that a person may see alone."""
    detail = f"{message}; {cure}" if cure else message
    return CheckResult(PreflightCheck(name=name, status=CheckStatus.FAIL, detail=detail), Failure(reason, detail))


def unknown_check(name: CheckName, found: NotChecked) -> CheckResult:
    """A check that could not be made is no check that passed."""
    return warned_check(name, f"this could not be checked: {found.why}")


def build_result(order: Order, report: SourceReport) -> WorkerResult:
    """The first check that failed says how the import ends."""
    failures = [item.failure for item in report.judged if item.failure is not None]
    preflight = PreflightReport(
        checks=[item.check for item in report.judged],
        ok=not failures,
        source=report.facts,
        storage_limit_bytes=order.storage_limit_bytes,
        target_version=order.target.server_version,
        skipped=report.left,
        more=report.left_unnamed or None,
    )
    first = FailureReport(reason=failures[0].reason, message=failures[0].message) if failures else None
    return WorkerResult(step="preflight", ok=preflight.ok, failure=first, preflight=preflight)
