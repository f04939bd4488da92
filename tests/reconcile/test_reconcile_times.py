"""Times of imports: only the time in which this process reconciled them counts."""

from datetime import datetime, timedelta

import pytest
from tests.support.samples import BORN

from pgimport.model.policy import Policy
from pgimport.reconcile import reconcile_times as reconcile_times_module
from pgimport.reconcile.reconcile_times import ReconcileTimes

STEP = timedelta(seconds=5)


def record_stages(reconcile_times: ReconcileTimes, *stages: str | None, pause: timedelta = STEP) -> list[float | None]:
    """Records each stage and returns, for each, the seconds since its wait began."""
    waited: list[float | None] = []
    for number, stage in enumerate(stages):
        now = BORN + number * pause
        since = reconcile_times.record("one", now, stage).waiting_since
        waited.append(None if since is None else (now - since).total_seconds())
    return waited


@pytest.mark.parametrize(
    ("stages", "waited"),
    [
        pytest.param(("a pod", "a pod", "a pod"), [0, 5, 10], id="the same"),
        pytest.param(("a pod", None, "a pod"), [0, None, 0], id="something ran in between"),
        pytest.param(("a pod", "preflight of one", "preflight of one"), [0, 0, 5], id="one after the other"),
    ],
)
def test_a_wait_begins_when_it_is_first_recorded(stages: tuple[str | None, ...], waited: list[float | None]) -> None:
    assert record_stages(ReconcileTimes(), *stages) == waited


def test_downtime_of_the_operator_does_not_count() -> None:
    """The API server did not answer, or this process was stopped."""
    reconcile_times = ReconcileTimes()
    record_stages(reconcile_times, "a pod", "a pod")
    later = BORN + timedelta(hours=1)
    times = reconcile_times.record("one", later, "a pod")
    assert (times.observed_since, times.waiting_since) == (later, later)


@pytest.mark.parametrize(
    ("stage", "since"), [("a pod", BORN), (None, BORN + timedelta(minutes=2))], ids=["it waits", "it copies"]
)
def test_an_import_that_waits_may_be_reconciled_less_often(stage: str | None, since: datetime) -> None:
    reconcile_times = ReconcileTimes()
    reconcile_times.record("one", BORN, stage)
    assert reconcile_times.record("one", BORN + timedelta(minutes=2), stage).observed_since == since


def test_the_longest_interval_is_no_downtime() -> None:
    longest = Policy(operator_namespace="pgimport").longest_waiting_interval
    assert longest * 1.25 < reconcile_times_module.LONGEST_WAITING_PAUSE


def test_a_clock_that_is_set_back_begins_new_times() -> None:
    reconcile_times = ReconcileTimes()
    record_stages(reconcile_times, "a pod", "a pod")
    before = BORN - timedelta(hours=1)
    times = reconcile_times.record("one", before, "a pod")
    assert (times.observed_since, times.waiting_since) == (before, before)


def test_reconciles_without_a_long_pause_keep_observed_since() -> None:
    reconcile_times = ReconcileTimes()
    record_stages(reconcile_times, None, None, None)
    assert reconcile_times.record("one", BORN + 3 * STEP, None).observed_since == BORN
    reconcile_times.forget("one")
    assert reconcile_times.record("one", BORN + 4 * STEP, None).observed_since == BORN + 4 * STEP


def test_the_number_of_tracked_imports_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile_times_module, "TRACKED_IMPORTS", 2)
    reconcile_times = ReconcileTimes()
    for number in range(4):
        reconcile_times.record(f"deleted-{number}", BORN + number * timedelta(minutes=2), None)
    assert len(reconcile_times._times) <= 2
