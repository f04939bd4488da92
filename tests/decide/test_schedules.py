"""Schedules: due and missed imports, suspension, concurrency, history limits, jitter, and changes of the spec."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.decide.schedule_simulation import ScheduleSimulation
from tests.support.samples import (
    BORN,
    PROJECT,
    SCHEDULE_UID,
    a_policy,
    a_preview,
    a_project,
    a_project_spec,
    a_ready_status,
    a_schedule_spec,
    observed_schedule,
)

from pgimport.decide.conditions import RECONCILING, STALLED, in_progress, ready_reason, with_conditions
from pgimport.decide.decision import CancelImport, CreateScheduledImport, Decision, DeleteImport
from pgimport.decide.schedules import decide_schedule, find_delay
from pgimport.model.names import scheduled_import_name
from pgimport.model.reasons import Reason
from pgimport.model.resources import PreviewObject
from pgimport.model.scalar_types import format_time
from pgimport.model.schedule_status import ScheduleStatus
from pgimport.model.status import ImportState, ImportStatus, find_condition

POLICY = a_policy()
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# The schedule was created at noon of the first of January, and its first time is 2 o'clock of the second.
FIRST = datetime(2026, 1, 2, 2, tzinfo=UTC)


def name_of(time: datetime) -> str:
    return scheduled_import_name("nightly", time)


def simulate(now: datetime = BORN, last: datetime | None = None, **spec: Any) -> ScheduleSimulation:
    status = ScheduleStatus(observed_generation=-1, last_schedule_time=last)
    return ScheduleSimulation(a_schedule_spec(**spec), now, status)


def list_created(decision: Decision[ScheduleStatus]) -> list[str]:
    return [action.name for action in decision.actions if isinstance(action, CreateScheduledImport)]


def message_of(decision: Decision[ScheduleStatus]) -> str:
    condition = find_condition(decision.status.conditions, "Ready")
    assert condition is not None
    return condition.message


# --- when an import is created ---


def test_a_new_schedule_shows_its_next_time_and_waits_for_it() -> None:
    simulation = simulate()
    decision = simulation.step()
    assert decision.actions == ()
    assert decision.status.next_schedule_time == FIRST
    assert ready_reason(decision.status.conditions) == Reason.SCHEDULED
    assert message_of(decision) == "The next import is due at 2026-01-02T02:00:00.000Z."
    assert decision.requeue_after == HOUR  # at most
    simulation.now = FIRST - 10 * SECOND
    assert simulation.step().requeue_after == 10 * SECOND


def test_an_import_is_created_at_its_time_and_only_once() -> None:
    simulation = simulate(FIRST)
    decision = simulation.step()
    assert decision.actions == (CreateScheduledImport("nightly-29455320"),)
    assert name_of(FIRST) == "nightly-29455320"
    shown = simulation.status
    assert (shown.last_schedule_time, shown.next_schedule_time) == (FIRST, FIRST + DAY)
    assert shown.active == ["nightly-29455320"]
    assert ready_reason(shown.conditions) == Reason.RUNNING
    assert simulation.step().actions == ()
    assert simulation.status.active == ["nightly-29455320"]


def test_a_creation_whose_status_was_not_written_is_not_repeated() -> None:
    simulation = simulate(FIRST)
    simulation.step(write_status=False)
    simulation.now += 5 * SECOND
    simulation.spec = a_schedule_spec(jitter="1h")  # it moves the times
    decision = simulation.step()
    assert decision.actions == ()
    assert decision.status.last_schedule_time == FIRST
    assert simulation.created == [name_of(FIRST)]


def test_an_import_that_ended_before_the_status_was_written_is_kept_until_it_is() -> None:
    """Otherwise, a limit of 0 would delete the only proof that the minute had its import."""
    simulation = simulate(FIRST, successfulImportsHistoryLimit=0)
    simulation.step(write_status=False)
    simulation.end(name_of(FIRST))
    assert simulation.step(write_status=False).actions == ()
    simulation.settle()
    assert simulation.imports == {}
    assert simulation.created == [name_of(FIRST)]


@pytest.mark.parametrize(
    ("late", "last", "deadline", "expected"),
    [
        pytest.param(3 * DAY + 6 * HOUR, None, None, 3, id="the last missed one, without a deadline"),
        pytest.param(3 * DAY + 6 * HOUR, 1, None, 3, id="the last one since the last import"),
        pytest.param(3 * DAY + 6 * HOUR, 3, None, None, id="nothing was missed"),
        pytest.param(400 * DAY, 1, None, 400, id="the last of more than a hundred"),
        pytest.param(6 * HOUR, None, 8 * 3600, 0, id="within the deadline"),
        pytest.param(6 * HOUR, None, 6 * 3600 + 1, 0, id="just within the deadline"),
        pytest.param(6 * HOUR, None, 6 * 3600 - 1, None, id="just after the deadline"),
        pytest.param(DAY + HOUR, None, 7200, 1, id="the last one within the deadline, the first one not"),
        pytest.param(5 * SECOND, None, 200, 0, id="a few seconds late"),
        pytest.param(5 * SECOND, None, 0, None, id="a deadline of zero allows no delay"),
    ],
)
def test_missed_imports(late: timedelta, last: int | None, deadline: int | None, expected: int | None) -> None:
    """`last` and `expected`: days after FIRST."""
    spec: dict[str, Any] = {} if deadline is None else {"startingDeadlineSeconds": deadline}
    simulation = simulate(FIRST + late, None if last is None else FIRST + last * DAY, **spec)
    simulation.step()
    assert simulation.created == ([] if expected is None else [name_of(FIRST + expected * DAY)])


def test_a_skipped_import_is_named() -> None:
    decision = simulate(FIRST + HOUR, startingDeadlineSeconds=60).step()
    assert message_of(decision) == (
        "The next import is due at 2026-01-03T02:00:00.000Z."
        " The import that was due at 2026-01-02T02:00:00.000Z was skipped (startingDeadlineSeconds)."
    )


@pytest.mark.parametrize("last", [FIRST + 5 * DAY, datetime(9999, 12, 31, 23, 59, tzinfo=UTC)], ids=["days", "ages"])
def test_nothing_is_due_before_a_last_time_in_the_future(last: datetime) -> None:
    """The operator's clock may have gone back: the minutes until then have had their imports."""
    simulation = simulate(FIRST + DAY, last, startingDeadlineSeconds=3600)
    decision = simulation.step()
    assert decision.actions == ()
    assert decision.status.last_schedule_time == last
    next_time = decision.status.next_schedule_time
    assert next_time is not None
    assert next_time > min(last, FIRST + 36500 * DAY)  # users see that nothing is due before


def test_an_outage_of_the_operator_leads_to_one_import_each() -> None:
    simulation = simulate(schedule="*/5 * * * *")
    simulation.run_until(BORN + HOUR, takes=MINUTE)
    simulation.now += 3 * HOUR + MINUTE  # nobody reconciles
    simulation.run_until(BORN + 5 * HOUR, takes=MINUTE)
    minutes = [int(name.rpartition("-")[2]) for name in simulation.created]
    gaps = Counter(later - earlier for earlier, later in pairwise(minutes))
    assert gaps == {5: len(minutes) - 2, 180: 1}


# --- suspension ---


def test_a_suspended_schedule_creates_nothing_and_leaves_its_imports_alone() -> None:
    simulation = simulate(FIRST)
    simulation.step()
    simulation.spec = a_schedule_spec(suspend=True)
    simulation.now = FIRST + 3 * DAY
    decision = simulation.step()
    assert decision.actions == ()
    assert ready_reason(decision.status.conditions) == Reason.SUSPENDED
    assert decision.status.active == [name_of(FIRST)]
    assert decision.status.next_schedule_time is None
    assert not any(find_condition(decision.status.conditions, kind) for kind in (RECONCILING, STALLED))


@pytest.mark.parametrize(
    ("deadline", "expected"),
    [pytest.param(None, 3, id="without a deadline, at once"), pytest.param(3600, None, id="not after the deadline")],
)
def test_after_a_suspension_the_last_missed_import_is_created(deadline: int | None, expected: int | None) -> None:
    spec: dict[str, Any] = {} if deadline is None else {"startingDeadlineSeconds": deadline}
    simulation = simulate(FIRST - HOUR, suspend=True, **spec)
    simulation.step()
    simulation.now = FIRST + 3 * DAY + 6 * HOUR
    simulation.spec = a_schedule_spec(**spec)
    simulation.step()
    assert simulation.created == ([] if expected is None else [name_of(FIRST + expected * DAY)])


# --- concurrency ---


def test_forbid_waits_for_the_end_of_the_active_import() -> None:
    simulation = simulate(FIRST)
    simulation.step()
    simulation.now = FIRST + DAY + MINUTE
    decision = simulation.step()
    assert decision.actions == ()
    assert message_of(decision) == (
        f"Import {name_of(FIRST)} has not ended. The import that was due at 2026-01-03T02:00:00.000Z waits for its end"
        " (concurrencyPolicy Forbid)."
    )
    assert decision.requeue_after == POLICY.waiting_interval
    simulation.end(name_of(FIRST))
    simulation.now += MINUTE
    assert list_created(simulation.step()) == [name_of(FIRST + DAY)]


def test_forbid_skips_an_import_whose_deadline_passes_while_it_waits() -> None:
    simulation = simulate(FIRST, startingDeadlineSeconds=600)
    simulation.step()
    simulation.now = FIRST + DAY + HOUR
    simulation.end(name_of(FIRST))
    simulation.settle()
    assert simulation.created == [name_of(FIRST)]


def test_replace_cancels_the_active_import_and_creates_the_next() -> None:
    simulation = simulate(FIRST, concurrencyPolicy="Replace")
    simulation.step()
    simulation.now = FIRST + DAY
    decision = simulation.step()
    first, second = name_of(FIRST), name_of(FIRST + DAY)
    assert decision.actions == (CreateScheduledImport(second), CancelImport(first, f"uid-{first}"))
    assert decision.status.active == [first, second]
    simulation.now = FIRST + 2 * DAY
    third = name_of(FIRST + 2 * DAY)
    # The first one is cancelled already, and has not ended, because its swap has begun.
    assert simulation.step().actions == (CreateScheduledImport(third), CancelImport(second, f"uid-{second}"))


def test_replace_cancels_the_earlier_import_also_after_the_operator_was_killed() -> None:
    """Before, both went on, and the new one waited for the end of the earlier one."""
    simulation = simulate(FIRST, concurrencyPolicy="Replace")
    simulation.step()
    first, second = name_of(FIRST), name_of(FIRST + DAY)
    simulation.now = FIRST + DAY
    earlier = simulation.imports[first]
    simulation.step(write_status=False)
    simulation.imports[first] = earlier  # it was killed before it cancelled this one
    assert simulation.step().actions == (CancelImport(first, f"uid-{first}"),)
    assert simulation.step().actions == ()
    assert simulation.decision is not None
    assert simulation.decision.status.active == [first, second]


# --- history ---


def test_the_oldest_ended_imports_beyond_each_limit_are_deleted() -> None:
    simulation = simulate(schedule="0 * * * *")
    ends = [ImportState.COMPLETED, ImportState.FAILED, ImportState.CANCELLED] * 4
    for state in ends:
        simulation.now += HOUR
        simulation.settle()
        simulation.end(simulation.created[-1], state)
    simulation.settle()
    kept = [name for name in simulation.created if name in simulation.imports]
    assert [simulation.list_states()[name] for name in kept] == ["completed", "completed", "completed", "cancelled"]
    assert kept[-1] == simulation.created[-1]


def test_an_import_is_deleted_only_after_its_clean_up() -> None:
    simulation = simulate(FIRST, successfulImportsHistoryLimit=0, failedImportsHistoryLimit=0)
    simulation.settle()
    simulation.end(name_of(FIRST), cleaned_up=None)
    assert simulation.step().actions == ()
    simulation.end(name_of(FIRST))
    assert simulation.step().actions == (DeleteImport(name_of(FIRST), f"uid-{name_of(FIRST)}"),)


def test_an_import_is_deleted_only_after_its_success_is_in_the_status() -> None:
    """An operator may be killed before it writes the status. Otherwise, dataAsOf would be lost."""
    simulation = simulate(FIRST, successfulImportsHistoryLimit=0)
    simulation.settle()
    simulation.end(name_of(FIRST), data_as_of=FIRST)
    simulation.step(write_status=False)
    simulation.settle()
    assert simulation.imports == {}
    assert simulation.status.data_as_of == FIRST


def test_the_last_success_stays_in_the_status_and_the_last_failure_in_the_message() -> None:
    simulation = simulate(FIRST, successfulImportsHistoryLimit=0)
    simulation.settle()
    simulation.now += MINUTE
    simulation.end(name_of(FIRST), data_as_of=FIRST + SECOND)
    simulation.settle()
    assert simulation.imports == {}
    assert simulation.status.last_successful_time == FIRST + MINUTE
    assert simulation.status.data_as_of == FIRST + SECOND
    simulation.now = FIRST + DAY
    simulation.settle()
    simulation.end(name_of(FIRST + DAY), ImportState.FAILED, error="the source does not answer")
    simulation.settle()
    assert simulation.status.last_successful_time == FIRST + MINUTE
    assert simulation.status.data_as_of == FIRST + SECOND
    assert simulation.decision is not None
    assert message_of(simulation.decision).endswith(
        f" Import {name_of(FIRST + DAY)} failed: the source does not answer"
    )
    assert ready_reason(simulation.status.conditions) == Reason.SCHEDULED


# --- jitter ---


def test_jitter_delays_each_import_by_the_same_time_that_depends_on_the_uid() -> None:
    delay = find_delay(SCHEDULE_UID, HOUR)
    assert timedelta(0) < delay < HOUR
    simulation = simulate(FIRST + delay - SECOND, jitter="1h", startingDeadlineSeconds=10)
    decision = simulation.step()
    assert decision.actions == ()
    assert decision.requeue_after == SECOND
    assert decision.status.next_schedule_time == FIRST
    assert message_of(decision) == f"The next import is due at {format_time(FIRST + delay)}."
    simulation.now += SECOND
    assert list_created(simulation.step()) == [name_of(FIRST)]
    assert simulation.status.last_schedule_time == FIRST
    simulation.settle()
    assert simulation.status.next_schedule_time == FIRST + DAY


def test_a_new_schedule_with_jitter_does_not_announce_a_time_before_its_creation() -> None:
    """A time of before the creation is never due, although its delay is not over yet."""
    simulation = simulate(BORN + SECOND, schedule="30 11 * * *", jitter="24h")
    delay = find_delay(SCHEDULE_UID, DAY)
    assert delay > HOUR
    decision = simulation.step()
    assert decision.status.next_schedule_time == BORN + DAY - HOUR / 2
    assert message_of(decision) == f"The next import is due at {format_time(BORN + DAY - HOUR / 2 + delay)}."


def test_the_delays_of_many_schedules_cover_the_jitter_evenly() -> None:
    delays = [find_delay(f"uid-{number}", 10 * MINUTE) for number in range(2000)]
    assert all(timedelta(0) <= delay < 10 * MINUTE for delay in delays)
    by_minute = Counter(delay // MINUTE for delay in delays)
    assert set(by_minute) == set(range(10))
    assert max(by_minute.values()) < 2 * min(by_minute.values())
    assert find_delay("uid", None) == find_delay("uid", SECOND) == timedelta(0)


# --- changes of the spec ---


def test_a_changed_template_counts_from_the_next_import() -> None:
    simulation = simulate(FIRST)
    simulation.settle()
    template = a_schedule_spec().import_template
    changed = template.model_copy(update={"jobs": 8})
    simulation.spec = a_schedule_spec().model_copy(update={"import_template": changed})
    simulation.settle()
    first = simulation.imports[name_of(FIRST)]
    assert first.spec == template
    simulation.end(name_of(FIRST))
    simulation.now = FIRST + DAY
    simulation.settle()
    assert simulation.imports[name_of(FIRST + DAY)].spec == changed


def test_a_changed_schedule_counts_times_since_the_last_import() -> None:
    """So does CronJob."""
    simulation = simulate(FIRST)
    simulation.settle()
    simulation.end(name_of(FIRST))
    simulation.now = FIRST + 10 * HOUR
    simulation.spec = a_schedule_spec(schedule="30 * * * *")
    simulation.settle()
    assert simulation.created == [name_of(FIRST), name_of(FIRST + 9 * HOUR + 30 * MINUTE)]
    assert simulation.status.next_schedule_time == FIRST + 10 * HOUR + 30 * MINUTE


# --- refusals ---


def test_a_schedule_without_times_is_stalled() -> None:
    decision = simulate(schedule="0 0 30 2 *").step()
    assert ready_reason(decision.status.conditions) == Reason.INVALID_SPEC
    assert find_condition(decision.status.conditions, STALLED) is not None
    assert (
        message_of(decision)
        == "spec.schedule: 0 0 30 2 * has no times: wrong or impossible day-of-month (hint: Correct the field.)"
    )
    assert decision.status.next_schedule_time is None


def test_a_spec_that_cannot_be_read_is_stalled() -> None:
    observed = observed_schedule()
    unreadable = type(observed.object)(meta=observed.object.meta, spec=None, spec_error="spec.jitter: too long")
    decision = decide_schedule(observed_schedule(object=unreadable), FIRST, POLICY)
    assert message_of(decision) == "spec.jitter: too long (hint: Correct the field.)"
    assert ready_reason(decision.status.conditions) == Reason.INVALID_SPEC


def test_a_schedule_waits_for_its_project() -> None:
    decision = decide_schedule(observed_schedule(project=None), FIRST, POLICY)
    assert decision.actions == ()
    assert ready_reason(decision.status.conditions) == Reason.PROJECT_NOT_FOUND
    assert find_condition(decision.status.conditions, RECONCILING) is not None
    assert decision.requeue_after == POLICY.waiting_interval


def test_a_project_of_another_namespace_is_refused() -> None:
    decision = decide_schedule(observed_schedule(project=a_project(a_project_spec(namespace="other"))), FIRST, POLICY)
    assert decision.actions == ()
    assert ready_reason(decision.status.conditions) == Reason.PROJECT_MISMATCH
    assert f"spec.importTemplate.project: Project {PROJECT} uses namespace other" in message_of(decision)


def test_a_schedule_that_is_being_deleted_creates_nothing() -> None:
    observed = observed_schedule(meta={"deleting": True})
    decision = decide_schedule(observed, FIRST, POLICY)
    assert decision.actions == ()
    assert decision.status == observed.object.status


# --- laws ---


def test_a_day_of_an_hourly_schedule() -> None:
    """24 simulated hours, each import takes 40 minutes, and the operator is killed before every third status write."""
    simulation = simulate(schedule="0 * * * *", timeZone="Europe/Berlin", jitter="10m")
    delay = find_delay(SCHEDULE_UID, 10 * MINUTE)
    for number in range(24 * 60):
        simulation.now = BORN + number * MINUTE
        simulation.step(write_status=number % 3 != 0)
        for name, item in list(simulation.imports.items()):
            if not item.status.terminal and simulation.now - item.meta.created_at >= 40 * MINUTE:
                failed = len(simulation.created) % 5 == 0
                simulation.end(name, ImportState.FAILED if failed else ImportState.COMPLETED)
        assert len(simulation.imports) <= 3 + 1 + 1 + 1  # both limits, the active one, and one to be deleted
    # The first time is an hour after the creation, and the last one is later than the end.
    assert simulation.created == [name_of(BORN + hour * HOUR) for hour in range(1, 24)]
    assert simulation.status.last_schedule_time == BORN + 23 * HOUR
    assert simulation.status.last_successful_time is not None
    assert 40 * MINUTE <= simulation.status.last_successful_time - (BORN + 23 * HOUR) - delay <= 45 * MINUTE


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)], ids=["the clock skips an hour", "it repeats one"]
)
def test_a_day_with_a_change_of_the_clock(day: str, hours: int) -> None:
    start = datetime.fromisoformat(f"{day}T00:30+00:00") - 2 * HOUR  # before midnight in Berlin
    simulation = simulate(start, start, schedule="15 * * * *", timeZone="Europe/Berlin")
    simulation.run_until(start + DAY, takes=10 * MINUTE)
    assert len(simulation.created) == len(set(simulation.created)) == 24
    nightly = simulate(start, start, schedule="15 2 * * *", timeZone="Europe/Berlin")
    nightly.run_until(start + DAY, takes=10 * MINUTE)
    assert len(nightly.created) == hours - 24 + 1


SPECS = st.fixed_dictionaries(
    {"schedule": st.sampled_from(["* * * * *", "*/7 * * * *", "30 2 * * *", "@hourly", "0 0 1 * 1"])},
    optional={
        "timeZone": st.sampled_from(["Europe/Berlin", "America/New_York", "Africa/Cairo"]),
        "concurrencyPolicy": st.sampled_from(["Forbid", "Replace"]),
        "startingDeadlineSeconds": st.sampled_from([0, 5, 200, 86_400]),
        "successfulImportsHistoryLimit": st.sampled_from([0, 1, 5]),
        "failedImportsHistoryLimit": st.sampled_from([0, 2]),
        "jitter": st.sampled_from(["1s", "90s", "2h"]),
        "suspend": st.booleans(),
    },
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from([SECOND, 59 * SECOND, MINUTE, 17 * MINUTE, 3 * HOUR, 5 * DAY, -MINUTE, -HOUR]),
        st.sampled_from([None, *(state for state in ImportState if state.terminal)]),  # end of all active imports
        st.booleans(),  # the operator is killed before it writes the status
        st.one_of(st.none(), SPECS),  # the user changes the spec
    ),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(SPECS, STEPS)
def test_laws_of_every_schedule(
    spec: dict[str, Any], steps: list[tuple[timedelta, ImportState | None, bool, dict[str, Any] | None]]
) -> None:
    simulation = simulate(datetime(2026, 10, 24, 22, 30, tzinfo=UTC), **spec)
    latest = simulation.now
    for passes, end, killed, change in steps:
        simulation.now += passes
        latest = max(latest, simulation.now)
        if change is not None:
            simulation.spec = a_schedule_spec(**change)
        for name in [name for name, item in simulation.imports.items() if end and not item.status.terminal]:
            simulation.end(name, end or ImportState.COMPLETED)
        active = [item for item in simulation.imports.values() if not item.status.terminal]
        before = simulation.status.last_schedule_time
        decision = simulation.step(write_status=not killed)
        created = list_created(decision)
        assert len(created) <= 1
        assert not created or not active or simulation.spec.concurrency_policy.value == "Replace"
        assert not created or not simulation.spec.suspend
        assert decision.message
        assert decision.requeue_after is not None
        assert timedelta(0) < decision.requeue_after <= HOUR
        assert len(simulation.created) == len(set(simulation.created))
        last = simulation.status.last_schedule_time
        assert before is None or (last is not None and last >= before)
        assert last is None or last <= latest
    simulation.settle()
    assert simulation.step().actions == ()


def test_a_schedule_says_what_its_import_waits_for() -> None:
    """Seen before: a schedule whose target does not exist showed only that its import has not ended."""
    simulation = simulate(FIRST)
    simulation.settle()
    (item,) = simulation.imports.values()
    missing = "The import waits for PreviewDatabase pr-42, which does not exist."
    waiting = with_conditions(
        ImportStatus(state=ImportState.PENDING), in_progress(Reason.TARGET_NOT_FOUND, missing), FIRST
    )
    simulation.imports[item.meta.name] = replace(item, status=waiting)
    assert message_of(simulation.step()).startswith(f"Import {item.meta.name} has not ended: {missing} The next import")


def test_a_schedule_of_a_project_that_is_being_deleted_creates_nothing() -> None:
    """Seen before: each new import kept the Project for longer."""
    decision = decide_schedule(observed_schedule(project=a_project(deleting=True)), FIRST, POLICY)
    assert (ready_reason(decision.status.conditions), decision.actions) == (Reason.PROJECT_NOT_READY, ())
    assert "is being deleted" in message_of(decision)


TEMPLATE = {
    "project": PROJECT,
    "source": {"urlSecretRef": {"name": "source", "key": "url"}},
    "target": {"previewDatabase": "pr-42"},
}
TEMPORARY = a_preview(status=a_ready_status(expires_at=FIRST - HOUR))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        pytest.param(None, "because PreviewDatabase pr-42 does not exist. Create it.", id="no such preview"),
        pytest.param(
            TEMPORARY,
            "It will wait, because PreviewDatabase pr-42 expires at 2026-01-02T01:00:00.000Z. Import into a golden",
            id="one that expires before",
        ),
    ],
)
def test_a_schedule_warns_of_a_target_that_its_next_import_cannot_use(target: PreviewObject | None, words: str) -> None:
    decision = decide_schedule(observed_schedule(target=target), BORN, POLICY)
    assert ready_reason(decision.status.conditions) == Reason.SCHEDULED
    assert words in message_of(decision)
    dry_run = a_schedule_spec(importTemplate={**TEMPLATE, "dryRun": True})
    assert "will wait" not in message_of(decide_schedule(observed_schedule(dry_run, target=target), BORN, POLICY))


def test_a_schedule_looks_for_a_missing_target_again() -> None:
    assert decide_schedule(observed_schedule(target=None), BORN, POLICY).requeue_after == MINUTE


def test_a_schedule_does_not_warn_of_a_target_that_it_can_use() -> None:
    for target in (a_preview(status=a_ready_status(expires_at=FIRST + DAY)), observed_schedule().target):
        decision = decide_schedule(observed_schedule(target=target), BORN, POLICY)
        assert message_of(decision) == "The next import is due at 2026-01-02T02:00:00.000Z."
