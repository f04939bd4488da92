"""When a Project is ready, what it is asked for, and when it may go."""

from datetime import timedelta

import pytest
from tests.support.samples import NOW, a_meta, a_policy, observed_project

from pgimport.decide.conditions import ready_reason
from pgimport.decide.decision import Action, DeleteOrphanedJobs, DropOrphanedObjects, EnsureRoleBindings, SetFinalizer
from pgimport.decide.observed import ObservedProject
from pgimport.decide.projects import CHECK_INTERVAL, decide_project
from pgimport.model.names import FINALIZER_PROJECT
from pgimport.model.observations import OrphanedJob, Unreachable
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ProjectObject
from pgimport.model.status import ProjectStatus

POLICY = a_policy()
NEW = ProjectStatus(observed_generation=-1)
OURS = {"finalizers": (FINALIZER_PROJECT,)}


def away(why: Reason, message: str) -> Unreachable:
    return Unreachable(failure=Failure(why, message))


STATES = [
    pytest.param(observed_project(status=NEW), True, Reason.READY, "PostgreSQL 17.12 at pg.internal", id="all is well"),
    pytest.param(
        observed_project(
            object=ProjectObject(meta=a_meta("shop"), spec=None, spec_error="spec.server: Field required")
        ),
        False,
        Reason.INVALID_SPEC,
        "spec.server",
        id="a spec that cannot be read",
    ),
    pytest.param(
        observed_project(namespace_owner="first"),
        False,
        Reason.NAMESPACE_TAKEN,
        "shop already belongs to Project first",
        id="an older project has the namespace",
    ),
    pytest.param(
        observed_project(namespace_exists=False),
        False,
        Reason.PENDING,
        "waits for namespace shop",
        id="no such namespace",
    ),
    pytest.param(
        observed_project(server=away(Reason.SERVER_UNREACHABLE, "the target server cannot be reached")),
        False,
        Reason.SERVER_UNREACHABLE,
        "(hint: ",
        id="the server is away",
    ),
    pytest.param(
        observed_project(server=away(Reason.SERVER_AUTH_FAILED, "Secret admin with the key user is missing")),
        False,
        Reason.SERVER_AUTH_FAILED,
        "Secret admin",
        id="no admin Secret",
    ),
    pytest.param(
        observed_project(server=away(Reason.SERVER_NOT_FIT, "the admin lacks CREATEROLE")),
        False,
        Reason.SERVER_NOT_FIT,
        "CREATEROLE",
        id="the admin is not fit",
    ),
]


@pytest.mark.parametrize(("observed", "ready", "why", "words"), STATES)
def test_a_project_is_ready_or_says_why_not(observed: ObservedProject, ready: bool, why: Reason, words: str) -> None:
    decision = decide_project(observed, NOW, POLICY)
    assert (decision.status.ready, ready_reason(decision.status.conditions)) == (ready, why)
    assert words in decision.message
    assert decision.status.observed_generation == 1


def test_a_ready_one_shows_the_servers_version_and_is_asked_again() -> None:
    decision = decide_project(observed_project(status=NEW), NOW, POLICY)
    assert decision.status.target_version == "17.12"
    assert decision.actions == (EnsureRoleBindings(),)
    assert decision.requeue_after == CHECK_INTERVAL


def test_one_that_is_deleted_says_whom_it_waits_for_and_goes_on_serving_them() -> None:
    decision = decide_project(observed_project(meta={"deleting": True, **OURS}, previews=1, imports=2), NOW, POLICY)
    assert (decision.status.ready, ready_reason(decision.status.conditions)) == (True, Reason.DELETING)
    assert "1 previews and 2 imports" in decision.message


def test_a_server_that_is_away_is_asked_sooner() -> None:
    observed = observed_project(server=away(Reason.SERVER_UNREACHABLE, "away"))
    assert decide_project(observed, NOW, POLICY).requeue_after == POLICY.retry_interval < timedelta(seconds=60)


@pytest.mark.parametrize(
    ("observed", "actions"),
    [
        pytest.param(observed_project(imports=1), (SetFinalizer(True),), id="an import uses it"),
        pytest.param(observed_project(previews=1), (SetFinalizer(True),), id="a preview uses it"),
        pytest.param(
            observed_project(previews=1, meta=OURS), (EnsureRoleBindings(),), id="it has its finalizer already"
        ),
        pytest.param(observed_project(), (EnsureRoleBindings(),), id="nobody uses it"),
        pytest.param(
            observed_project(orphaned_objects=("pgimport_1",)),
            (EnsureRoleBindings(), DropOrphanedObjects()),
            id="leftovers are swept",
        ),
        pytest.param(
            observed_project(orphaned_jobs=(OrphanedJob("pgi-a", "uid"),)),
            (EnsureRoleBindings(), DeleteOrphanedJobs((OrphanedJob("pgi-a", "uid"),))),
            id="Jobs that nobody owns go",
        ),
        pytest.param(
            observed_project(meta={"deleting": True, **OURS}), (SetFinalizer(False),), id="it goes when nobody uses it"
        ),
        pytest.param(
            observed_project(meta={"deleting": True, **OURS}, orphaned_objects=("pgimport_1",)),
            (DropOrphanedObjects(), SetFinalizer(False)),
            id="it goes with its leftovers",
        ),
        pytest.param(
            observed_project(meta={"deleting": True, **OURS}, previews=1),
            (EnsureRoleBindings(),),
            id="it stays while somebody uses it",
        ),
        pytest.param(
            observed_project(namespace_owner="first", orphaned_objects=("pgimport_1",)),
            (),
            id="its namespace is another's",
        ),
        pytest.param(
            observed_project(namespace_exists=False, orphaned_objects=("pgimport_1",)),
            (DropOrphanedObjects(),),
            id="its namespace was deleted with live imports",
        ),
    ],
)
def test_what_is_done_for_a_project(observed: ObservedProject, actions: tuple[Action, ...]) -> None:
    assert decide_project(observed, NOW, POLICY).actions == actions
