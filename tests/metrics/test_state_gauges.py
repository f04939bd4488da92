"""Gauges follow from the objects that the operator knows."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.samples import (
    BORN,
    NAMESPACE,
    NOW,
    PROJECT,
    a_preview,
    a_preview_spec,
    a_project,
    a_project_spec,
    a_ready_status,
    a_running_status,
    a_shadow,
    an_import,
    an_import_spec,
)

from pgimport.decide.conditions import CLEANED_UP, ConditionSet, in_progress, with_conditions
from pgimport.decide.pending_imports import SUSPENDED
from pgimport.decide.webhooks import WEBHOOKS_DELIVERED
from pgimport.metrics.state_gauges import GAUGES, NAMED_IMPORTS, Memory, Snapshot, build_gauges
from pgimport.model.project_status import ProjectStatus
from pgimport.model.reasons import Reason
from pgimport.model.resources import ImportObject, ImportOwner, PreviewObject, ProjectObject
from pgimport.model.status import (
    ConditionStatus,
    ImportPhase,
    ImportState,
    ImportStatus,
    PreviewState,
    Progress,
)

Values = dict[tuple[str, ...], float]
MINUTE = timedelta(minutes=1)
RUNNING = in_progress(Reason.RUNNING, "It runs.")


def read(
    name: str,
    *items: ImportObject | ImportOwner | PreviewObject,
    project: ProjectObject | None = None,
    failed_at: datetime | None = None,
    started_at: datetime = BORN,
) -> Values:
    """Returns the values of one gauge by their labels, without the Project's, which is the same for all."""
    snapshot = Snapshot(
        projects=[project or a_project()],
        previews={NAMESPACE: [item for item in items if isinstance(item, PreviewObject)]},
        active={NAMESPACE: [item for item in items if isinstance(item, ImportObject)]},
        ended={NAMESPACE: [item for item in items if isinstance(item, ImportOwner)]},
    )
    memory = Memory(
        started_at=started_at,
        find_start_of_wait=lambda item: item.meta.created_at,
        find_last_failure=lambda project: failed_at,
    )
    families = {family.name: family for family in build_gauges(snapshot, memory, NOW)}
    assert families.keys() == GAUGES.keys()
    samples = families[f"pgimport_{name}"].samples
    assert all(sample.labels["project"] == PROJECT for sample in samples)
    return {
        tuple(value for key, value in sample.labels.items() if key != "project"): sample.value for sample in samples
    }


def waiting(reason: Reason = Reason.WAITING_FOR_SLOT, **spec: Any) -> ImportObject:
    return an_import(
        an_import_spec(**spec), with_conditions(ImportStatus(state=ImportState.PENDING), in_progress(reason, ""), NOW)
    )


def running(
    conditions: ConditionSet = RUNNING, quiet: timedelta = 5 * MINUTE, name: str = "debian", **changes: Any
) -> ImportObject:
    progress = Progress(phase=ImportPhase.DATA, percent=25, at=NOW - quiet, bytes_per_second=7, source_held_seconds=9)
    return an_import(status=with_conditions(a_running_status(progress=progress, **changes), conditions, NOW), name=name)


def ended(state: ImportState = ImportState.FAILED, ago: timedelta = MINUTE, **changes: Any) -> ImportOwner:
    given: dict[str, Any] = {"name": "old", "uid": "old", "project": PROJECT, "cleaned_up": True}
    return ImportOwner(**(given | {"ended_at": NOW - ago, "state": state} | changes))


def golden(age: timedelta | None, **spec: Any) -> PreviewObject:
    data_as_of = NOW - age if age is not None else None
    return a_preview(a_preview_spec(golden=True, **spec), a_ready_status(data_as_of=data_as_of))


def test_imports_by_state() -> None:
    values = read("imports", waiting(), running(), ended(), ended(ImportState.COMPLETED), an_import())
    assert values == {("pending",): 2, ("running",): 1, ("completed",): 1, ("failed",): 1, ("cancelled",): 0}


def test_waiting_imports_by_reason_without_suspended_ones() -> None:
    suspended = an_import(
        an_import_spec(suspend=True),
        with_conditions(ImportStatus(state=ImportState.PENDING), SUSPENDED, NOW),
        created_at=BORN - MINUTE,
    )
    items = (waiting(), waiting(Reason.QUEUED), suspended, running())
    assert read("imports_waiting", *items) == {("WaitingForSlot",): 1, ("Queued",): 1}
    assert read("oldest_waiting_import_timestamp_seconds", *items) == {(): BORN.timestamp()}
    assert read("oldest_waiting_import_timestamp_seconds", suspended, running()) == {}


def test_an_import_retries_in_its_second_attempt() -> None:
    assert read("imports_retrying", running(attempts=1), running(attempts=2), running(attempts=3)) == {(): 2}


@pytest.mark.parametrize(
    ("item", "started_at", "ratio"),
    [
        pytest.param(running(), BORN, 0.5, id="half of the 10 minutes"),
        pytest.param(running(), NOW - MINUTE, 0.1, id="the operator has started since"),
        pytest.param(running(in_progress(Reason.RETRYING, "")), BORN, 0, id="it waits for the next attempt"),
        pytest.param(running(shadow=a_shadow(verified=True)), BORN, 0, id="the copy is verified"),
        pytest.param(running(quiet=-MINUTE), BORN, 0, id="the time is in the future"),
        pytest.param(waiting(), BORN, 0, id="it waits"),
    ],
)
def test_a_stall_is_a_part_of_the_timeout(item: ImportObject, started_at: datetime, ratio: float) -> None:
    assert read("import_stall_ratio", item, started_at=started_at) == {(): ratio}


@pytest.mark.parametrize(
    ("items", "failed_at", "expected"),
    [
        pytest.param((ended(), ended(ago=2 * MINUTE)), None, NOW - MINUTE, id="the newest"),
        pytest.param((), NOW, NOW, id="its object is deleted"),
        pytest.param((ended(),), NOW - 2 * MINUTE, NOW - MINUTE, id="another operator saw it"),
        pytest.param((ended(ImportState.CANCELLED), ended(ImportState.COMPLETED)), None, None, id="no failure"),
        pytest.param((ended(dry_run=True),), None, None, id="a dry run"),
    ],
)
def test_the_last_failure(
    items: tuple[ImportOwner, ...], failed_at: datetime | None, expected: datetime | None
) -> None:
    values = read("last_failed_import_timestamp_seconds", *items, failed_at=failed_at)
    assert values == ({(): expected.timestamp()} if expected is not None else {})


def test_only_running_imports_are_named_and_not_all_of_them() -> None:
    """A tenant may run any number of dry runs: each name would be a series."""
    assert read("running_import_progress_ratio", running(), waiting(), ended()) == {("debian",): 0.25}
    assert read("running_import_bytes_per_second", running()) == {("debian",): 7}
    assert read("running_import_source_held_seconds", running()) == {("debian",): 9}
    many = [running(name=f"import-{number}", started_at=BORN + number * MINUTE) for number in range(NAMED_IMPORTS + 1)]
    named = read("running_import_progress_ratio", *reversed(many))
    assert len(named) == NAMED_IMPORTS
    assert ("import-0",) in named
    assert (f"import-{NAMED_IMPORTS}",) not in named


def test_an_object_of_another_namespace_counts_for_no_project() -> None:
    other = replace(a_project(a_project_spec(namespace="mall")))
    assert read("imports", waiting(), project=other) == {(state.value,): 0 for state in ImportState}


def test_previews_by_state() -> None:
    values = read(
        "previews", a_preview(), a_preview(deleting=True), a_preview(status=a_ready_status(state=PreviewState.PENDING))
    )
    assert values == {("pending",): 1, ("ready",): 1, ("deleting",): 1, ("failed",): 0, ("expired",): 0}


def test_the_oldest_golden_data() -> None:
    items = (golden(2 * MINUTE), golden(3 * MINUTE), golden(None), a_preview(status=a_ready_status(data_as_of=BORN)))
    assert read("golden_data_timestamp_seconds", *items) == {(): (NOW - 3 * MINUTE).timestamp()}
    assert read("golden_data_timestamp_seconds", golden(None)) == {}


@pytest.mark.parametrize(
    ("ready", "reason", "expected"),
    [
        pytest.param(True, Reason.READY, {(): 1}, id="ready"),
        pytest.param(False, Reason.SERVER_UNREACHABLE, {(): 0}, id="unreachable"),
        pytest.param(False, Reason.SERVER_AUTH_FAILED, {(): 0}, id="refuses the admin"),
        pytest.param(False, Reason.PENDING, {}, id="not known"),
    ],
)
def test_the_server_of_a_project(ready: bool, reason: Reason, expected: Values) -> None:
    status = with_conditions(ProjectStatus(ready=ready), in_progress(reason, ""), NOW)
    assert read("target_server_up", project=a_project(status=status)) == expected


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        pytest.param({WEBHOOKS_DELIVERED: ConditionStatus.FALSE}, {(): 1}, id="failing"),
        pytest.param({WEBHOOKS_DELIVERED: ConditionStatus.TRUE}, {(): 0}, id="delivered"),
        pytest.param({}, {}, id="no event yet"),
    ],
)
def test_the_webhooks_of_a_project(shown: dict[str, ConditionStatus], expected: Values) -> None:
    status = with_conditions(ProjectStatus(ready=True), ConditionSet(Reason.READY, "", shown), NOW)
    assert read("webhooks_failing", project=a_project(status=status)) == expected


def test_leftovers_are_imports_and_projects_that_are_not_cleaned_up() -> None:
    status = with_conditions(
        ProjectStatus(ready=True), ConditionSet(Reason.ROLE_IN_USE, "", {CLEANED_UP: ConditionStatus.FALSE}), NOW
    )
    items = (ended(cleaned_up=False, ago=6 * MINUTE), ended(cleaned_up=False), ended(ago=6 * MINUTE))
    assert read("leftovers", *items) == {(): 1}
    assert read("leftovers", *items, project=a_project(status=status)) == {(): 2}


def test_the_oldest_deletion_of_each_kind() -> None:
    items = [a_preview(deleting=True, deletion_requested_at=NOW - minutes * MINUTE) for minutes in (1, 3, 2)]
    values = read("oldest_deletion_timestamp_seconds", *items, a_preview(), running())
    assert values == {("previewdatabase",): (NOW - 3 * MINUTE).timestamp()}
