"""Counters of imports follow from two statuses: the one that was read, and the one that was written."""

from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from tests.support.samples import (
    BORN,
    IMPORT_UID,
    NOW,
    PROJECT,
    a_preflight,
    a_running_status,
    a_source,
    an_attempt,
    an_import,
    an_import_spec,
)

from pgimport.decide.conditions import with_conditions
from pgimport.decide.import_transitions import cancelled, completed, failed
from pgimport.decide.pending_imports import SUSPENDED
from pgimport.metrics.transition_metrics import TransitionMetrics
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import DumpFileInfo, Verification
from pgimport.model.status import ImportPhase, ImportState, ImportStatus, Progress

MINUTE = timedelta(minutes=1)


class Counted:
    """A registry, and the steps that an import takes."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = TransitionMetrics(self.registry)

    def step(
        self, before: ImportStatus, after: ImportStatus, project: str | None = PROJECT, now: Any = NOW, **spec: Any
    ) -> None:
        self.metrics.record(an_import(an_import_spec(**spec), before), after, lambda: project, now)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"pgimport_{name}", labels)


def in_phase(phase: ImportPhase, pod: str = "one", **changes: Any) -> ImportStatus:
    return a_running_status(progress=Progress(phase=phase, at=NOW), claimed_by=pod, **changes)


RUNNING = a_running_status(
    preflight=a_preflight(), progress=Progress(phase=ImportPhase.SWAP, bytes_done=500, source_held_seconds=30)
)
FROM_FILE = a_running_status(preflight=a_preflight(source=a_source(file=DumpFileInfo(format="custom"))))
VERIFIED = RUNNING.model_copy(update={"verification": Verification(rows=7, verified=True)})
FAILED = failed(RUNNING, Failure(Reason.SOURCE_UNREACHABLE, "no route"), NOW).status


@pytest.mark.parametrize(
    ("before", "after", "spec", "labels"),
    [
        pytest.param(
            VERIFIED,
            completed(VERIFIED, "", NOW).status,
            {},
            ("completed", "Completed", "server", "false"),
            id="a server",
        ),
        pytest.param(RUNNING, FAILED, {}, ("failed", "SourceUnreachable", "server", "false"), id="a failure"),
        pytest.param(
            RUNNING,
            cancelled(RUNNING, NOW).status,
            {},
            ("cancelled", "Cancelled", "server", "false"),
            id="a cancellation",
        ),
        pytest.param(
            FROM_FILE,
            completed(FROM_FILE, "", NOW).status,
            {},
            ("completed", "Completed", "file", "false"),
            id="a dump file",
        ),
        pytest.param(
            RUNNING,
            FAILED,
            {"source": {"uploadKey": "shop/1"}},
            ("failed", "SourceUnreachable", "upload", "false"),
            id="an upload",
        ),
        pytest.param(
            RUNNING, FAILED, {"dryRun": True}, ("failed", "SourceUnreachable", "server", "true"), id="a dry run"
        ),
    ],
)
def test_an_end_counts_by_state_reason_and_source(
    before: ImportStatus, after: ImportStatus, spec: dict[str, Any], labels: tuple[str, ...]
) -> None:
    counted = Counted()
    counted.step(before, after, **spec)
    names = dict(zip(("state", "reason", "source", "dry_run"), labels, strict=True))
    assert counted.value("imports_ended_total", project=PROJECT, **names) == 1


def test_a_write_after_the_end_counts_nothing() -> None:
    """The clean-up writes a terminal status again, also after a restart of the operator."""
    counted = Counted()
    counted.step(FAILED, FAILED.model_copy(update={"cleaned_up": True}))
    assert [
        sample for family in counted.registry.collect() for sample in family.samples if sample.labels.get("project")
    ] == []
    assert counted.metrics.find_last_failure(PROJECT) is None


def test_a_namespace_without_a_project_has_no_series() -> None:
    """Else a tenant could create series with any names."""
    counted = Counted()
    counted.step(RUNNING, FAILED, project=None)
    assert [
        sample for family in counted.registry.collect() for sample in family.samples if "project" in sample.labels
    ] == []


def test_a_completed_import_counts_bytes_rows_and_seconds() -> None:
    counted = Counted()
    counted.step(VERIFIED, completed(VERIFIED, "", NOW).status)
    assert counted.value("imported_bytes_total", project=PROJECT) == 500
    assert counted.value("imported_rows_total", project=PROJECT) == 7
    assert counted.value("source_held_seconds_sum") == 30
    assert (
        counted.value("import_duration_seconds_sum", state="completed", source="server") == (NOW - BORN).total_seconds()
    )


def test_attempts_count_when_they_start() -> None:
    counted = Counted()
    counted.step(a_running_status(attempts=0), a_running_status(attempts=1))
    counted.step(a_running_status(attempts=1), a_running_status(attempts=1))
    counted.step(a_running_status(attempts=1), a_running_status(attempts=2))
    assert counted.value("import_attempts_total", project=PROJECT) == 2


def test_a_phase_counts_when_the_next_one_begins() -> None:
    counted = Counted()
    counted.step(in_phase(ImportPhase.SCHEMA), in_phase(ImportPhase.DATA), now=NOW)
    counted.step(in_phase(ImportPhase.DATA), in_phase(ImportPhase.DATA, updated_at=NOW), now=NOW + MINUTE)
    counted.step(in_phase(ImportPhase.DATA), in_phase(ImportPhase.INDEXES), now=NOW + 2 * MINUTE)
    assert counted.value("import_phase_seconds_sum", phase="data") == 120
    assert counted.value("import_phase_seconds_count", phase="schema") == 0, "nobody saw it begin"


def test_a_phase_that_ends_with_its_attempt_does_not_count() -> None:
    counted = Counted()
    counted.step(in_phase(ImportPhase.SCHEMA), in_phase(ImportPhase.DATA))
    counted.step(in_phase(ImportPhase.DATA), in_phase(ImportPhase.PREFLIGHT, pod="two"), now=NOW + MINUTE)
    assert counted.value("import_phase_seconds_count", phase="data") == 0


def test_a_wait_counts_from_the_creation_or_the_last_suspension() -> None:
    counted = Counted()
    waiting = ImportStatus(state=ImportState.PENDING)
    counted.step(waiting, a_running_status(started_at=NOW))
    assert counted.value("import_wait_seconds_sum") == (NOW - BORN).total_seconds()
    suspended = with_conditions(waiting, SUSPENDED, NOW)
    counted.step(suspended, waiting, now=NOW)
    assert counted.metrics.find_start_of_wait(an_import(status=waiting)) == NOW
    counted.step(waiting, a_running_status(started_at=NOW + MINUTE))
    assert counted.value("import_wait_seconds_sum") == (NOW - BORN).total_seconds() + 60


def test_a_wait_begins_again_when_a_queue_preempts_the_import() -> None:
    """Else an import that ran for hours would have waited for hours at once."""
    preempted = ImportStatus(state=ImportState.PENDING, job="job", attempt_history=[an_attempt(ended_at=NOW)])
    assert Counted().metrics.find_start_of_wait(an_import(status=preempted)) == NOW


def test_what_is_gone_is_forgotten() -> None:
    counted = Counted()
    counted.step(with_conditions(ImportStatus(), SUSPENDED, NOW), ImportStatus())
    counted.step(RUNNING, FAILED)
    assert counted.metrics.find_last_failure(PROJECT) == NOW
    counted.metrics.forget_others({IMPORT_UID}, {PROJECT})
    assert counted.metrics.find_last_failure(PROJECT) == NOW
    counted.metrics.forget_others((), ())
    assert counted.metrics.find_last_failure(PROJECT) is None
    assert counted.metrics.find_start_of_wait(an_import()) == BORN


def test_only_a_copy_that_succeeds_is_measured() -> None:
    counted, times = Counted(), iter((10.0, 15.0, 20.0))
    assert counted.metrics.time_copy(lambda: "copied", lambda: next(times))() == "copied"

    def fail() -> None:
        raise ValueError("no space")

    with pytest.raises(ValueError, match="no space"):
        counted.metrics.time_copy(fail, lambda: next(times))()
    assert (counted.value("preview_copy_seconds_count"), counted.value("preview_copy_seconds_sum")) == (1, 5)
