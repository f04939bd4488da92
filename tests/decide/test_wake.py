"""Which other objects a decision asks to reconcile."""

from datetime import timedelta

import pytest
from tests.support.samples import (
    BORN,
    DATABASE,
    IMPORT_UID,
    NOW,
    PREVIEW,
    a_failing_status,
    a_policy,
    a_preview,
    a_preview_spec,
    a_ready_status,
    a_running_status,
    an_import,
    an_import_spec,
    observed_import,
    observed_preview,
    observed_project,
    observed_running_import,
)

from pgimport.decide.conditions import in_progress, with_conditions
from pgimport.decide.decision import Swap
from pgimport.decide.failures import FailedAction, decide_failed_import, show_import_failure
from pgimport.decide.imports import decide_import
from pgimport.decide.observed_objects import ObservedImport, ObservedPreview, ObservedProject
from pgimport.decide.previews import decide_preview
from pgimport.decide.projects import decide_project
from pgimport.decide.wake_targets import (
    AllPreviews,
    ClaimedPreviews,
    FirstAboveLimit,
    FirstSlotWaiter,
    ImportSelector,
    NamespaceProjects,
    PendingImports,
    TargetWaiters,
    WakeTarget,
    select_imports,
    select_previews,
    wake_after_removal,
)
from pgimport.model.names import IMPORTS, LABEL_SCHEDULE, PREVIEWS, PROJECTS, SCHEDULES
from pgimport.model.observations import ObservedContent
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ImportObject, ResourceKey
from pgimport.model.status import ImportState, ImportStatus, PreviewState, PreviewStatus

POLICY = a_policy()
NAMESPACE = "shop"
TARGET = ResourceKey(PREVIEWS, NAMESPACE, PREVIEW)
FOR_PLACE = FirstAboveLimit(NAMESPACE)
FOR_TARGET, FOR_SLOT = PendingImports(NAMESPACE, PREVIEW), FirstSlotWaiter(NAMESPACE)
AFTER_THE_END = (TARGET, FOR_TARGET, FOR_SLOT)
AFTER_A_REMOVAL = (ClaimedPreviews(NAMESPACE), NamespaceProjects(NAMESPACE))
AFTER_A_DELETION = (*AFTER_A_REMOVAL, TargetWaiters(NAMESPACE), FOR_SLOT)
FAILURE = Failure(Reason.TARGET_BUSY, "a prepared transaction uses the target")


def ended(**changes: object) -> ImportStatus:
    return a_running_status(**({"state": ImportState.FAILED, "completed_at": BORN, "attempt_history": []} | changes))


def waiting(reason: Reason) -> ImportStatus:
    conditions = with_conditions(ImportStatus(), in_progress(reason, "It waits."), BORN).conditions
    return ImportStatus(state=ImportState.PENDING, conditions=conditions)


@pytest.mark.parametrize(
    ("observed", "wake"),
    [
        pytest.param(observed_import(project=None), (FOR_TARGET,), id="it begins to wait"),
        pytest.param(
            observed_import(project=None, status=waiting(Reason.PROJECT_NOT_FOUND)), (), id="it waits for the same"
        ),
        pytest.param(
            observed_import(project=None, status=waiting(Reason.WAITING_FOR_SLOT)),
            (FOR_TARGET, FOR_SLOT),
            id="it waits for something else than a slot",
        ),
        pytest.param(observed_import(status=waiting(Reason.WAITING_FOR_SLOT)), (FOR_SLOT,), id="it has got a slot"),
        pytest.param(
            observed_running_import(an_import_spec(suspend=True)), (FOR_TARGET, FOR_SLOT), id="it is suspended"
        ),
        pytest.param(observed_import(), (), id="it starts"),
        pytest.param(observed_running_import(), (), id="it stays running"),
        pytest.param(observed_running_import(an_import_spec(cancel=True)), AFTER_THE_END, id="it ends"),
        pytest.param(
            observed_import(an_import_spec(dryRun=True, target=None, cancel=True), preview=None),
            (FOR_SLOT,),
            id="it ends and has no target",
        ),
        pytest.param(observed_import(status=ended()), AFTER_THE_END, id="it is cleaned up"),
        pytest.param(observed_import(status=ended(cleaned_up=True)), (), id="it was cleaned up earlier"),
        pytest.param(
            observed_running_import(an_import_spec(cancel=True), meta={"labels": {LABEL_SCHEDULE: "nightly"}}),
            (TARGET, ResourceKey(SCHEDULES, NAMESPACE, "nightly"), *AFTER_THE_END[1:]),
            id="it ends and a schedule has created it",
        ),
        pytest.param(
            observed_import(status=a_running_status(), meta={"deleting": True}), AFTER_A_DELETION, id="it is deleted"
        ),
    ],
)
def test_an_import_wakes_those_that_wait_for_it(observed: ObservedImport, wake: tuple[WakeTarget, ...]) -> None:
    assert decide_import(observed, NOW, POLICY).wake == wake


REFUSED = FailedAction(Swap("pod-uid"), FAILURE, refused=True)


def test_an_import_that_an_action_ends_wakes_others_too() -> None:
    assert decide_failed_import(observed_running_import(), REFUSED, NOW, POLICY).wake == AFTER_THE_END


def test_an_unreachable_server_wakes_nobody() -> None:
    for observed in (observed_running_import(), observed_import(status=ended())):
        assert show_import_failure(observed.object, FAILURE, NOW, POLICY).wake == ()


CLAIMED = a_ready_status(active_import=IMPORT_UID, active_import_name="debian")


@pytest.mark.parametrize(
    ("observed", "wake"),
    [
        pytest.param(observed_preview(status=PreviewStatus()), (FOR_TARGET,), id="it is created"),
        pytest.param(
            observed_preview(
                a_preview_spec(golden=True),
                PreviewStatus(state=PreviewState.PENDING, database=DATABASE),
                content=ObservedContent(imported=True),
            ),
            (AllPreviews(NAMESPACE), FOR_TARGET),
            id="it is golden and has data, for which copies wait",
        ),
        pytest.param(
            observed_preview(status=CLAIMED, active_import_exists=False),
            (FOR_TARGET,),
            id="its import is gone",
        ),
        pytest.param(
            observed_preview(a_preview_spec(ttl="2h"), CLAIMED, active_import_exists=True),
            (ResourceKey(IMPORTS, NAMESPACE, "debian"),),
            id="it is claimed",
        ),
        pytest.param(
            observed_preview(a_preview_spec(ttl="1s"), database_oid=100), (FOR_PLACE, FOR_TARGET), id="it expires"
        ),
        pytest.param(
            observed_preview(status=CLAIMED, active_import_exists=True, meta={"deleting": True}),
            (FOR_PLACE, ResourceKey(IMPORTS, NAMESPACE, "debian")),
            id="it is deleted",
        ),
        pytest.param(
            observed_preview(status=a_failing_status(PreviewState.FAILED, "Too many previews.")),
            (FOR_PLACE, FOR_TARGET),
            id="it gets a place within the limit",
        ),
    ],
)
def test_a_preview_wakes_its_imports_when_it_changes(observed: ObservedPreview, wake: tuple[WakeTarget, ...]) -> None:
    assert decide_preview(observed, NOW, POLICY).wake == wake


def test_a_preview_that_stays_the_same_wakes_nobody() -> None:
    first = decide_preview(observed_preview(), NOW, POLICY)
    assert decide_preview(observed_preview(status=first.status), NOW + timedelta(seconds=1), POLICY).wake == ()


NOT_FOUND = observed_project(namespace_exists=False)


@pytest.mark.parametrize("observed", [observed_project(), NOT_FOUND], ids=["it is ready", "it is not ready"])
def test_a_project_wakes_its_previews_and_pending_imports_when_it_changes(observed: ObservedProject) -> None:
    first = decide_project(observed, NOW, POLICY)
    assert first.wake == (AllPreviews(NAMESPACE), PendingImports(NAMESPACE))
    again = observed_project(status=first.status, namespace_exists=observed.namespace_exists)
    assert decide_project(again, NOW, POLICY).wake == ()


@pytest.mark.parametrize(
    ("key", "wake"),
    [
        pytest.param(ResourceKey(IMPORTS, NAMESPACE, "debian"), AFTER_A_DELETION, id="an import"),
        pytest.param(TARGET, (*AFTER_A_REMOVAL, FOR_TARGET, FOR_PLACE), id="a preview"),
        pytest.param(ResourceKey(PROJECTS, "", "shop"), (), id="a Project"),
    ],
)
def test_an_object_that_is_gone_wakes_those_that_it_leaves_something_to(
    key: ResourceKey, wake: tuple[WakeTarget, ...]
) -> None:
    assert wake_after_removal(key) == wake


def an_active_import(name: str, status: ImportStatus, preview: str = PREVIEW, minute: int = 0) -> ImportObject:
    spec = an_import_spec(target={"previewDatabase": preview})
    return an_import(spec, status, name=name, uid=name, created_at=BORN + timedelta(minutes=minute))


ACTIVE = [
    an_active_import("runs", a_running_status()),
    an_active_import("new", ImportStatus(), preview="other"),
    an_active_import("second", waiting(Reason.WAITING_FOR_SLOT), minute=2),
    an_active_import("first", waiting(Reason.WAITING_FOR_SLOT), minute=1),
    an_active_import("behind", waiting(Reason.WAITING_FOR_TARGET)),
    an_active_import("typo", waiting(Reason.SOURCE_SECRET_MISSING), preview="other"),
]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        pytest.param(PendingImports(NAMESPACE), ["new", "second", "first", "behind", "typo"], id="all that wait"),
        pytest.param(PendingImports(NAMESPACE, "other"), ["new", "typo"], id="those of a target"),
        pytest.param(TargetWaiters(NAMESPACE), ["behind"], id="those behind another import"),
        pytest.param(FOR_SLOT, ["first"], id="the one that may take a slot"),
    ],
)
def test_only_imports_that_wait_for_it_are_woken(selector: ImportSelector, names: list[str]) -> None:
    """Seen before: each end of an import woke all 300 imports of its namespace that waited."""
    assert [item.meta.name for item in select_imports(selector, ACTIVE)] == names


def test_nobody_is_woken_if_nobody_waits_for_a_slot() -> None:
    assert select_imports(FOR_SLOT, ACTIVE[:2]) == []


def test_the_oldest_preview_above_the_limit_gets_the_place_that_another_one_leaves() -> None:
    """Seen before: a preview that waited for a place got it up to an hour after another one was deleted."""
    above = a_failing_status(PreviewState.FAILED, "Too many previews.")
    previews = [
        a_preview(name="ready", uid="a"),
        a_preview(status=above, name="second", uid="b", created_at=BORN + timedelta(minutes=2)),
        a_preview(status=above, name="first", uid="c", created_at=BORN + timedelta(minutes=1)),
        a_preview(status=above, name="gone", uid="d", deleting=True),
    ]
    assert [item.meta.name for item in select_previews(FOR_PLACE, previews)] == ["first"]
