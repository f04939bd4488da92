"""Which other objects a decision asks to reconcile."""

from datetime import timedelta

import pytest
from tests.support.samples import (
    BORN,
    IMPORT_UID,
    NOW,
    PREVIEW,
    a_policy,
    a_preview_spec,
    a_ready_status,
    a_running_status,
    an_import_spec,
    observed_import,
    observed_preview,
    observed_project,
    observed_running_import,
)

from pgimport.decide.decision import Swap
from pgimport.decide.failures import FailedAction, decide_failed_import, show_import_failure
from pgimport.decide.imports import decide_import
from pgimport.decide.observed_objects import ObservedImport, ObservedPreview, ObservedProject
from pgimport.decide.previews import decide_preview
from pgimport.decide.projects import decide_project
from pgimport.decide.wake_targets import (
    AllPreviews,
    ClaimedPreviews,
    NamespaceProjects,
    PendingImports,
    WakeTarget,
    wake_after_removal,
)
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ResourceKey
from pgimport.model.status import ImportState, ImportStatus, PreviewStatus

POLICY = a_policy()
NAMESPACE = "shop"
TARGET = ResourceKey(PREVIEWS, NAMESPACE, PREVIEW)
AFTER_THE_END = (TARGET, PendingImports(NAMESPACE))
AFTER_A_DELETION = (ClaimedPreviews(NAMESPACE), NamespaceProjects(NAMESPACE))
FAILURE = Failure(Reason.TARGET_BUSY, "a prepared transaction uses the target")


def ended(**changes: object) -> ImportStatus:
    return a_running_status(**({"state": ImportState.FAILED, "completed_at": BORN, "attempt_history": []} | changes))


@pytest.mark.parametrize(
    ("observed", "wake"),
    [
        pytest.param(observed_import(project=None), (), id="it stays pending"),
        pytest.param(observed_import(), (), id="it starts"),
        pytest.param(observed_running_import(), (), id="it stays running"),
        pytest.param(observed_running_import(an_import_spec(cancel=True)), AFTER_THE_END, id="it ends"),
        pytest.param(
            observed_import(an_import_spec(dryRun=True, target=None, cancel=True), preview=None),
            (PendingImports(NAMESPACE),),
            id="it ends and has no target",
        ),
        pytest.param(observed_import(status=ended()), AFTER_THE_END, id="it is cleaned up"),
        pytest.param(observed_import(status=ended(cleaned_up=True)), (), id="it was cleaned up earlier"),
        pytest.param(
            observed_import(status=a_running_status(), meta={"deleting": True}), AFTER_A_DELETION, id="it is deleted"
        ),
    ],
)
def test_an_import_wakes_others_when_it_ends(observed: ObservedImport, wake: tuple[WakeTarget, ...]) -> None:
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
        pytest.param(observed_preview(status=PreviewStatus()), (PendingImports(NAMESPACE),), id="it is created"),
        pytest.param(
            observed_preview(status=CLAIMED, active_import_exists=False),
            (PendingImports(NAMESPACE),),
            id="its import is gone",
        ),
        pytest.param(
            observed_preview(a_preview_spec(ttl="2h"), CLAIMED, active_import_exists=True), (), id="it is claimed"
        ),
    ],
)
def test_a_preview_wakes_pending_imports_when_it_changes(
    observed: ObservedPreview, wake: tuple[WakeTarget, ...]
) -> None:
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
        pytest.param(TARGET, AFTER_A_DELETION, id="a preview"),
        pytest.param(ResourceKey(PROJECTS, "", "shop"), (), id="a Project"),
    ],
)
def test_an_object_that_is_gone_wakes_those_that_it_leaves_something_to(
    key: ResourceKey, wake: tuple[WakeTarget, ...]
) -> None:
    assert wake_after_removal(key) == wake
