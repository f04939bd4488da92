"""Pending imports: what they wait for, when they start, and which are refused."""

from datetime import timedelta
from typing import Any

import pytest
from tests.decide.import_decisions import POLICY, decide, reason
from tests.support.samples import (
    BORN,
    IMPORT_UID,
    NOW,
    a_failing_status,
    a_meta,
    a_preview,
    a_preview_spec,
    a_project,
    a_project_spec,
    a_ready_status,
    a_running_status,
    an_import,
    an_import_spec,
    observed_import,
)

from pgimport.decide.conditions import in_progress, ready_reason
from pgimport.decide.decision import (
    ClaimTarget,
    ReleaseTarget,
)
from pgimport.decide.imports import decide_import
from pgimport.decide.observed_objects import ObservedImport
from pgimport.model.project_status import ProjectStatus
from pgimport.model.reasons import Reason, RetryClassification
from pgimport.model.resources import ImportObject, ProjectObject
from pgimport.model.status import Condition, ConditionStatus, ImportState, ImportStatus, PreviewState

NO_SECRET = (Reason.SOURCE_SECRET_MISSING, "Secret source with the key url")
NO_SCRIPT = (Reason.CONFIG_MAP_MISSING, "ConfigMap mask with the key sql")

SECOND = timedelta(seconds=1)


def another(
    name: str, age: timedelta = SECOND, state: ImportState | None = None, reason: Reason | None = None, **spec: Any
) -> ImportObject:
    """Builds another import that is older than the observed one by `age`."""
    conditions = []
    if reason is not None:
        conditions = [
            Condition(type=kind, status=status, reason=reason.value, last_transition_time=BORN)
            for kind, status in in_progress(reason, "").statuses.items()
        ]
    return an_import(
        an_import_spec(**spec),
        ImportStatus(state=state, conditions=conditions),
        name=name,
        uid=f"{name}-uid",
        created_at=BORN - age,
    )


MASKED = {"postImport": {"sqlConfigMapRef": {"name": "mask", "key": "sql"}}}
TYPO = {"urlSecretRef": {"name": "source", "key": "ulr"}}
CLONE = a_preview(status=a_ready_status(state=PreviewState.PENDING, clone_import="debian"))
ONE_SLOT = a_project(a_project_spec(limits={"maxConcurrentImports": 1}))
ELSEWHERE = {"previewDatabase": "pr-1"}

WAITS = [
    pytest.param(
        observed_import(an_import_spec(suspend=True)),
        Reason.SUSPENDED,
        "spec.suspend holds the import.",
        id="it is suspended",
    ),
    pytest.param(observed_import(project=None), Reason.PROJECT_NOT_FOUND, "Project shop", id="no such project"),
    pytest.param(
        observed_import(project=a_project(deleting=True)),
        Reason.PROJECT_NOT_READY,
        "Project shop, which is being deleted",
        id="the project is being deleted",
    ),
    pytest.param(
        observed_import(project=a_project(status=ProjectStatus(ready=False))),
        Reason.PROJECT_NOT_READY,
        "Project shop, which is not ready",
        id="the project is not ready",
    ),
    pytest.param(
        observed_import(project=a_project(status=ProjectStatus())),
        Reason.PROJECT_NOT_READY,
        "Project shop, which is not ready",
        id="the project was never reconciled",
    ),
    pytest.param(
        observed_import(
            project=ProjectObject(meta=a_meta("shop"), spec=None, spec_error="spec.server: Field required")
        ),
        Reason.PROJECT_NOT_READY,
        "Project shop, which is not ready",
        id="the project cannot be read",
    ),
    pytest.param(
        observed_import(missing_mount=NO_SECRET),
        Reason.SOURCE_SECRET_MISSING,
        "waits for Secret source with the key url",
        id="no secret with the source's URL",
    ),
    pytest.param(
        observed_import(missing_mount=NO_SCRIPT),
        Reason.CONFIG_MAP_MISSING,
        "waits for ConfigMap mask with the key sql",
        id="no SQL for after the import",
    ),
    pytest.param(
        observed_import(preview=None), Reason.TARGET_NOT_FOUND, "waits for PreviewDatabase pr-42", id="no such preview"
    ),
    pytest.param(
        observed_import(preview=a_preview(status=a_ready_status(state=PreviewState.EXPIRED))),
        Reason.TARGET_NOT_READY,
        "which is expired",
        id="the preview has expired",
    ),
    pytest.param(
        observed_import(
            preview=a_preview(status=a_failing_status(PreviewState.FAILED, "Project shop may have 3 previews."))
        ),
        Reason.TARGET_NOT_READY,
        "PreviewDatabase pr-42, which is failed: Project shop may have 3 previews.",
        id="the preview cannot be created",
    ),
    pytest.param(
        observed_import(preview=a_preview(status=a_ready_status(state=None))),
        Reason.TARGET_NOT_READY,
        "which is pending",
        id="the preview is not created yet",
    ),
    pytest.param(
        observed_import(preview=a_preview(deleting=True)),
        Reason.TARGET_NOT_READY,
        "which is deleting",
        id="the preview is being deleted",
    ),
    pytest.param(
        observed_import(preview=a_preview(a_preview_spec(resetAt="2026-01-01T12:05:00Z"))),
        Reason.TARGET_NOT_READY,
        "about to be reset",
        id="the preview is about to be reset",
    ),
    pytest.param(
        observed_import(preview=a_preview(status=a_ready_status(active_import="somebody"))),
        Reason.WAITING_FOR_TARGET,
        "another import, which uses PreviewDatabase pr-42",
        id="another import holds the preview",
    ),
    pytest.param(
        observed_import(other_imports=(another("older"),)),
        Reason.WAITING_FOR_TARGET,
        "waits for import older",
        id="an older import of the same target goes first",
    ),
    pytest.param(
        observed_import(
            other_imports=(another("older", SECOND, ImportState.PENDING, Reason.SOURCE_SECRET_MISSING, jobs=2),)
        ),
        Reason.WAITING_FOR_TARGET,
        "waits for import older",
        id="an older import has waited for the Secret that is there now",
    ),
    pytest.param(
        observed_import(other_imports=(another("older", SECOND, ImportState.PENDING, Reason.WAITING_FOR_SLOT),)),
        Reason.WAITING_FOR_TARGET,
        "waits for import older",
        id="an older import needs only a slot",
    ),
    pytest.param(
        observed_import(other_imports=(another("older", SECOND, ImportState.RUNNING, Reason.RETRYING),)),
        Reason.WAITING_FOR_TARGET,
        "waits for import older",
        id="an import between two attempts keeps its target",
    ),
    pytest.param(
        observed_import(other_imports=(another("older"), another("oldest", 2 * SECOND))),
        Reason.WAITING_FOR_TARGET,
        "waits for import oldest",
        id="the oldest is named",
    ),
    pytest.param(
        observed_import(other_imports=(another("younger", -SECOND, ImportState.RUNNING),)),
        Reason.WAITING_FOR_TARGET,
        "waits for import younger",
        id="a running import goes first, even if it is younger",
    ),
    pytest.param(
        observed_import(
            project=ONE_SLOT, other_imports=(another("busy", -SECOND, ImportState.RUNNING, target=ELSEWHERE),)
        ),
        Reason.WAITING_FOR_SLOT,
        "Project shop runs at most 1 imports at once; busy has run the longest.",
        id="every slot is taken",
    ),
    pytest.param(
        observed_import(
            project=ONE_SLOT,
            other_imports=(another("older", SECOND, ImportState.PENDING, Reason.WAITING_FOR_SLOT, target=ELSEWHERE),),
        ),
        Reason.WAITING_FOR_SLOT,
        "waits for a free slot",
        id="the oldest waiting import gets a free slot",
    ),
]


@pytest.mark.parametrize(("observed", "expected", "text"), WAITS)
def test_a_pending_import_says_what_it_waits_for(observed: ObservedImport, expected: Reason, text: str) -> None:
    decision = decide(observed)
    assert (decision.status.state, reason(decision)) == (ImportState.PENDING, expected)
    assert text in decision.message
    assert decision.status.conditions[0].message == decision.message
    assert decision.actions == ()
    expected_interval = {
        # Only a change of its own spec, which causes an event, ends a suspension.
        Reason.SUSPENDED: POLICY.longest_waiting_interval,
        Reason.SOURCE_SECRET_MISSING: POLICY.shortest_waiting_interval,
        Reason.CONFIG_MAP_MISSING: POLICY.shortest_waiting_interval,
    }.get(expected, POLICY.waiting_interval)
    assert decision.requeue_after == expected_interval
    assert decision.status.started_at is None


@pytest.mark.parametrize(("waited", "seconds"), [(1, 1), (4, 4), (40, 15), (600, 60)])
def test_a_secret_that_is_created_just_after_its_import_is_seen_soon(waited: int, seconds: int) -> None:
    """Nothing watches Secrets. The command line creates the import first, because it owns the Secret."""
    since = NOW - timedelta(seconds=waited)
    decision = decide(observed_import(missing_mount=NO_SECRET, status=ImportStatus(pending_since=since)))
    assert decision.requeue_after == timedelta(seconds=seconds)


STARTS = [
    pytest.param(observed_import(), id="everything exists"),
    pytest.param(
        observed_import(preview=a_preview(a_preview_spec(resetAt="2099-01-01T00:00:00Z"))),
        id="the preview's resetAt is in the future",
    ),
    pytest.param(
        observed_import(preview=a_preview(status=a_ready_status(active_import=IMPORT_UID))),
        id="it took the preview before a crash",
    ),
    pytest.param(
        observed_import(other_imports=(another("younger", -SECOND),)), id="a younger import of the same target waits"
    ),
    pytest.param(observed_import(other_imports=(another("held", suspend=True),)), id="an older import is suspended"),
    pytest.param(
        observed_import(other_imports=(another("unwanted", cancel=True),)),
        id="an older import is about to be cancelled",
    ),
    pytest.param(
        observed_import(
            other_imports=(another("typo", SECOND, ImportState.PENDING, Reason.SOURCE_SECRET_MISSING, source=TYPO),)
        ),
        id="an older import waits for another key",
    ),
    pytest.param(
        observed_import(
            other_imports=(another("masked", SECOND, ImportState.PENDING, Reason.CONFIG_MAP_MISSING, **MASKED),)
        ),
        id="an older import waits for its SQL",
    ),
    pytest.param(
        observed_import(other_imports=(another("broken", SECOND, ImportState.PENDING, Reason.REPEATED_ERROR),)),
        id="the reconcile of an older import keeps failing",
    ),
    pytest.param(
        observed_import(
            other_imports=(another("lost", SECOND, ImportState.PENDING, Reason.PROJECT_NOT_FOUND, project="shpo"),)
        ),
        id="an older import names another project",
    ),
    pytest.param(
        observed_import(
            preview=CLONE, other_imports=(another("early", SECOND, ImportState.PENDING, Reason.TARGET_NOT_READY),)
        ),
        id="an older import waits for the clone that this import fills",
    ),
    pytest.param(observed_import(other_imports=(another("dry", dryRun=True),)), id="an older dry run takes no target"),
    pytest.param(
        observed_import(other_imports=(another("other", target=ELSEWHERE),)), id="an older import has another target"
    ),
    pytest.param(
        observed_import(
            project=ONE_SLOT,
            other_imports=(
                another("younger", -SECOND, ImportState.PENDING, Reason.WAITING_FOR_SLOT, target=ELSEWHERE),
            ),
        ),
        id="a younger import waits for the same slot",
    ),
    pytest.param(
        observed_import(
            project=ONE_SLOT,
            other_imports=(
                another("older", SECOND, ImportState.PENDING, Reason.SOURCE_SECRET_MISSING, target=ELSEWHERE),
            ),
        ),
        id="an older import needs more than a slot",
    ),
    pytest.param(
        observed_import(project=ONE_SLOT, other_imports=(another("dry", SECOND, ImportState.RUNNING, dryRun=True),)),
        id="a running dry run takes no slot",
    ),
]


@pytest.mark.parametrize("observed", STARTS)
def test_an_import_whose_needs_are_met_claims_its_target_and_runs(observed: ObservedImport) -> None:
    decision = decide(observed)
    assert (decision.status.state, reason(decision)) == (ImportState.RUNNING, Reason.STARTING)
    assert decision.actions == (ClaimTarget(),)
    assert decision.requeue_after == timedelta(0)
    assert decision.status.started_at == NOW
    assert decision.status.locked_resource == "preview/shop/pr-42"


CLAIMED = a_preview(status=a_ready_status(active_import=IMPORT_UID))


@pytest.mark.parametrize(
    "observed",
    [
        pytest.param(observed_import(preview=CLAIMED, missing_mount=NO_SECRET), id="for its Secret"),
        pytest.param(observed_import(preview=CLAIMED, project=None), id="for its Project"),
        pytest.param(observed_import(preview=CLAIMED, other_imports=(another("older"),)), id="for an older import"),
        pytest.param(
            observed_import(
                preview=CLAIMED,
                project=ONE_SLOT,
                other_imports=(another("busy", state=ImportState.RUNNING, target=ELSEWHERE),),
            ),
            id="for a slot",
        ),
    ],
)
def test_an_import_that_waits_releases_the_claim_from_before_a_crash(observed: ObservedImport) -> None:
    decision = decide(observed)
    assert decision.status.state is ImportState.PENDING
    assert decision.actions == (ReleaseTarget(),)


@pytest.mark.parametrize(
    "observed",
    [
        pytest.param(observed_import(an_import_spec(dryRun=True), preview=None), id="its target is not there"),
        pytest.param(observed_import(an_import_spec(dryRun=True, target=None), preview=None), id="it names no target"),
        pytest.param(
            observed_import(an_import_spec(dryRun=True), other_imports=(another("older", state=ImportState.RUNNING),)),
            id="another import has its target",
        ),
        pytest.param(
            observed_import(
                an_import_spec(dryRun=True),
                project=ONE_SLOT,
                other_imports=(another("busy", state=ImportState.RUNNING),),
            ),
            id="every slot is taken",
        ),
    ],
)
def test_a_dry_run_starts_at_once_and_claims_nothing(observed: ObservedImport) -> None:
    decision = decide(observed)
    assert decision.status.state is ImportState.RUNNING
    assert decision.actions == ()


def test_fields_that_follow_from_the_import_and_its_project_are_shown_from_the_first_reconcile() -> None:
    shown = decide(observed_import(missing_mount=NO_SECRET)).status
    assert (shown.type, shown.id, shown.project_id) == ("project.import", "shop.debian", "shop")
    assert (shown.preview_database_id, shown.cluster_id, shown.organization_id) == ("shop.pr-42", "eu-1", "capy")
    assert (shown.created_at, shown.observed_generation) == (BORN, 1)
    assert (shown.attempts, shown.max_attempts) == (0, 3)


REFUSED = [
    pytest.param(
        an_import(an_import_spec(source={"uploadKey": "shop/dump"})),
        Reason.NOT_SUPPORTED,
        "spec.source.uploadKey",
        id="an upload",
    ),
    pytest.param(
        ImportObject(meta=a_meta(), spec=None, spec_error="spec.jobs: Input should be a valid integer"),
        Reason.INVALID_SPEC,
        "spec.jobs",
        id="a spec that cannot be read",
    ),
    pytest.param(
        an_import(namespace="other"),
        Reason.PROJECT_MISMATCH,
        "uses namespace shop, not other",
        id="a namespace that is not the project's",
    ),
]


@pytest.mark.parametrize(("item", "expected", "text"), REFUSED)
def test_an_import_that_cannot_be_served_fails_with_its_reason_and_starts_nothing(
    item: ImportObject, expected: Reason, text: str
) -> None:
    decision = decide(observed_import(object=item))
    shown = decision.status
    assert (shown.state, reason(decision)) == (ImportState.FAILED, expected)
    assert shown.error is not None
    assert text in shown.error
    assert shown.retry_classification is RetryClassification.PERMANENT
    assert shown.completed_at == NOW
    assert decision.actions == ()


@pytest.mark.parametrize("engine", ["auto", "dump"])
@pytest.mark.parametrize("provider", ["auto", "none"])
@pytest.mark.parametrize("verify", ["counts", "none"])
def test_every_supported_option_starts(engine: str, provider: str, verify: str) -> None:
    spec = an_import_spec(engine=engine, provider=provider, verify=verify)
    assert decide(observed_import(spec)).status.state is ImportState.RUNNING


def test_a_pending_import_is_cancelled_at_once() -> None:
    decision = decide(observed_import(an_import_spec(cancel=True), project=None))
    assert (decision.status.state, reason(decision)) == (ImportState.CANCELLED, Reason.CANCELLED)
    assert decision.status.retry_classification is RetryClassification.CANCELLED
    assert decision.status.error is None


def test_an_import_that_is_being_deleted_is_not_changed() -> None:
    observed = observed_import(status=a_running_status(), meta={"deleting": True})
    decision = decide(observed)
    assert (decision.status, decision.actions, decision.requeue_after) == (observed.object.status, (), None)


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    first = decide(observed_import(project=None)).status
    later = decide_import(observed_import(status=first, missing_mount=NO_SECRET), NOW + SECOND, POLICY).status
    assert reason(decide(observed_import(project=None))) != ready_reason(later.conditions)
    assert [condition.last_transition_time for condition in later.conditions] == [NOW, NOW]
    assert {condition.type: condition.status for condition in later.conditions} == {
        "Ready": ConditionStatus.UNKNOWN,
        "Reconciling": ConditionStatus.TRUE,
    }
    assert later.project_id == "shop"
