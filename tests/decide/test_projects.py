"""Projects: when they are ready, what the operator does for them, and when they may be deleted."""

from datetime import datetime, timedelta

import pytest
from tests.support.samples import NOW, a_meta, a_policy, a_project_spec, observed_project

from pgimport.decide.conditions import ready_reason
from pgimport.decide.decision import (
    IMMEDIATELY,
    Action,
    DeleteOrphanedJobs,
    DropOrphanedObjects,
    EnsureNetworkPolicy,
    EnsureRoleBindings,
    ObserveDatabases,
    RemoveNetworkPolicy,
    SetConnectionLimits,
    SetFinalizer,
)
from pgimport.decide.observed_objects import HeldRole, ObservedProject
from pgimport.decide.projects import CHECK_INTERVAL, NO_NETWORK_POLICY, decide_project
from pgimport.model.names import FINALIZER_PROJECT, PREVIEWS
from pgimport.model.observations import ApiServerEndpoint, MeasuredCopy, ObservedServer, OrphanedJob, Unreachable
from pgimport.model.project_status import CloneMethod, ProjectStatus
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ProjectObject, ResourceKey

POLICY = a_policy()
NAMESPACE_ACTIONS = (EnsureRoleBindings(), RemoveNetworkPolicy())  # without NetworkPolicies
NEW = ProjectStatus(observed_generation=-1)
OURS = {"finalizers": (FINALIZER_PROJECT,)}


def unreachable(expected: Reason, message: str) -> Unreachable:
    return Unreachable(failure=Failure(expected, message))


READINESS = [
    pytest.param(
        observed_project(status=NEW), True, Reason.READY, "PostgreSQL 17.12 at pg.internal", id="the server answers"
    ),
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
        observed_project(a_project_spec(namespace="pgimport")),
        False,
        Reason.INVALID_SPEC,
        "pgimport is the operator's own",
        id="the operator's namespace",
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
        observed_project(server=unreachable(Reason.SERVER_UNREACHABLE, "the target server cannot be reached")),
        False,
        Reason.SERVER_UNREACHABLE,
        "(hint: ",
        id="the server does not answer",
    ),
    pytest.param(
        observed_project(server=unreachable(Reason.SERVER_AUTH_FAILED, "Secret admin with the key user is missing")),
        False,
        Reason.SERVER_AUTH_FAILED,
        "Secret admin",
        id="no admin Secret",
    ),
    pytest.param(
        observed_project(server=unreachable(Reason.SERVER_NOT_FIT, "the admin lacks CREATEROLE")),
        False,
        Reason.SERVER_NOT_FIT,
        "CREATEROLE",
        id="the admin lacks a right",
    ),
]


@pytest.mark.parametrize(("observed", "ready", "expected", "text"), READINESS)
def test_a_project_is_ready_or_shows_the_reason(
    observed: ObservedProject, ready: bool, expected: Reason, text: str
) -> None:
    decision = decide_project(observed, NOW, POLICY)
    assert (decision.status.ready, ready_reason(decision.status.conditions)) == (ready, expected)
    assert text in decision.message
    assert decision.status.observed_generation == 1


def test_a_ready_project_shows_the_servers_version_and_is_checked_again() -> None:
    decision = decide_project(observed_project(status=NEW), NOW, POLICY)
    assert decision.status.target_version == "17.12"
    assert decision.actions == NAMESPACE_ACTIONS
    assert decision.requeue_after == CHECK_INTERVAL


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(ObservedServer(version="17.12", version_num=170012), id="ready"),
        pytest.param(unreachable(Reason.SERVER_UNREACHABLE, "no route to host"), id="not ready"),
    ],
)
def test_the_network_policy_follows_the_operators_rights(server: ObservedServer | Unreachable) -> None:
    """The operator gets the right to create it from its RoleBinding in the namespace."""
    endpoints = (ApiServerEndpoint("10.96.0.1", 443),)
    observed = observed_project(server=server, api_server=endpoints)
    decision = decide_project(observed, NOW, a_policy(network_policy=True))
    assert decision.actions == (EnsureRoleBindings(), EnsureNetworkPolicy(endpoints))


def test_without_the_right_to_read_the_api_server_a_project_warns_and_works() -> None:
    observed = observed_project(api_server=None)
    decision = decide_project(observed, NOW, a_policy(network_policy=True))
    assert decision.actions == (EnsureRoleBindings(),)
    assert decision.status.ready
    assert decision.status.warnings == [NO_NETWORK_POLICY]


def test_a_sweep_that_fails_does_not_hide_that_databases_are_gone() -> None:
    """The actions run in order until one fails."""
    observed = observed_project(previews_without_database=("a",), orphaned_objects=("database x",))
    kinds = [type(action) for action in decide_project(observed, NOW, a_policy()).actions]
    assert kinds.index(ObserveDatabases) < kinds.index(DropOrphanedObjects)


def test_previews_without_database_or_secret_are_reconciled_at_once() -> None:
    observed = observed_project(previews_without_database=("a", "b"), previews_without_secret=("b", "c"))
    decision = decide_project(observed, NOW, POLICY)
    assert decision.actions == (*NAMESPACE_ACTIONS, ObserveDatabases(("a", "b")))
    assert decision.wake[-3:] == tuple(ResourceKey(PREVIEWS, "shop", name) for name in "abc")


def test_a_ready_project_shows_warnings_until_they_are_cured() -> None:
    warned = ObservedServer(version="17.12", version_num=170012, warnings=("there is no database gis_template",))
    decision = decide_project(observed_project(status=NEW, server=warned), NOW, POLICY)
    assert (decision.status.ready, decision.status.warnings) == (True, ["there is no database gis_template"])
    assert "Warning: there is no database gis_template." in decision.message
    cured = decide_project(observed_project(status=decision.status), NOW, POLICY)
    assert cured.status.warnings == []


def test_a_project_shows_how_its_server_made_the_last_copy() -> None:
    copy = MeasuredCopy(method=CloneMethod.CLONE, bytes=3_000_000, seconds=1.5)
    status = decide_project(observed_project(last_copy=copy), NOW, POLICY).status
    assert (status.clone_method, status.clone_bytes_per_second) == (CloneMethod.CLONE, 2_000_000)
    later = decide_project(observed_project(status=status), NOW, POLICY).status  # by another operator process
    assert (later.clone_method, later.clone_bytes_per_second) == (CloneMethod.CLONE, 2_000_000)


def test_a_deleted_project_shows_what_it_waits_for_and_stays_ready() -> None:
    decision = decide_project(observed_project(meta={"deleting": True, **OURS}, previews=1, imports=2), NOW, POLICY)
    assert (decision.status.ready, ready_reason(decision.status.conditions)) == (True, Reason.DELETING)
    assert "1 previews and 2 imports" in decision.message


def test_a_server_that_does_not_answer_is_checked_sooner() -> None:
    observed = observed_project(server=unreachable(Reason.SERVER_UNREACHABLE, "no answer"))
    assert decide_project(observed, NOW, POLICY).requeue_after == POLICY.retry_interval < timedelta(seconds=60)


@pytest.mark.parametrize(
    ("observed", "actions"),
    [
        pytest.param(observed_project(imports=1), (SetFinalizer(True),), id="an import uses it"),
        pytest.param(observed_project(previews=1), (SetFinalizer(True),), id="a preview uses it"),
        pytest.param(observed_project(previews=1, meta=OURS), NAMESPACE_ACTIONS, id="it has its finalizer already"),
        pytest.param(observed_project(), NAMESPACE_ACTIONS, id="nobody uses it"),
        pytest.param(
            observed_project(orphaned_objects=("pgimport_1",)),
            (*NAMESPACE_ACTIONS, DropOrphanedObjects()),
            id="orphaned objects are dropped",
        ),
        pytest.param(
            observed_project(orphaned_jobs=(OrphanedJob("pgi-a", "uid"),)),
            (*NAMESPACE_ACTIONS, DeleteOrphanedJobs((OrphanedJob("pgi-a", "uid"),))),
            id="orphaned Jobs are deleted",
        ),
        pytest.param(
            observed_project(meta={"deleting": True, **OURS}),
            (SetFinalizer(False),),
            id="its finalizer is removed when nothing uses it",
        ),
        pytest.param(
            observed_project(meta={"deleting": True, **OURS}, orphaned_objects=("pgimport_1",)),
            (DropOrphanedObjects(), SetFinalizer(False)),
            id="orphaned objects are dropped first",
        ),
        pytest.param(
            observed_project(meta={"deleting": True, **OURS}, previews=1),
            NAMESPACE_ACTIONS,
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
def test_the_actions_of_a_project(observed: ObservedProject, actions: tuple[Action, ...]) -> None:
    assert decide_project(observed, NOW, POLICY).actions == actions


IN_USE, UNUSED = ProjectStatus(in_use=True), ProjectStatus(in_use=True, unused_since=NOW - CHECK_INTERVAL)


@pytest.mark.parametrize(
    ("status", "created_previews", "server_objects", "expected"),
    [
        pytest.param(NEW, 0, 0, (False, None), id="new"),
        pytest.param(NEW, 0, None, (None, None), id="new, and its server does not answer: its address may be wrong"),
        pytest.param(NEW, 1, 0, (True, None), id="a preview may have a database"),
        pytest.param(NEW, 1, None, (True, None), id="a preview may have a database on a server that does not answer"),
        pytest.param(NEW, 0, 1, (True, None), id="a database is left on the server"),
        pytest.param(IN_USE, 0, None, (True, None), id="only the server knows what is left"),
        pytest.param(IN_USE, 0, 0, (True, NOW), id="the first look finds nothing"),
        pytest.param(UNUSED, 0, 0, (False, None), id="the second look finds nothing"),
        pytest.param(UNUSED, 0, None, (True, UNUSED.unused_since), id="the second look fails"),
        pytest.param(UNUSED, 1, 0, (True, None), id="the second look finds a preview"),
        pytest.param(UNUSED, 0, 1, (True, None), id="the second look finds a database"),
    ],
)
@pytest.mark.parametrize("namespace_exists", [True, False])
def test_a_project_is_in_use_until_two_looks_find_nothing(
    status: ProjectStatus,
    created_previews: int,
    server_objects: int | None,
    expected: tuple[bool | None, datetime | None],
    namespace_exists: bool,
) -> None:
    observed = observed_project(
        status=status,
        meta=OURS,
        previews=created_previews,
        created_previews=created_previews,
        server_objects=server_objects,
        namespace_exists=namespace_exists,
    )
    decided = decide_project(observed, NOW, POLICY)
    assert (decided.status.in_use, decided.status.unused_since) == expected
    assert (decided.requeue_after == IMMEDIATELY) is (decided.status.unused_since == NOW)


def test_a_preview_without_a_database_does_not_lock_a_wrong_address() -> None:
    observed = observed_project(status=NEW, meta=OURS, previews=1, server=unreachable(Reason.SERVER_UNREACHABLE, "?"))
    assert not decide_project(observed, NOW, POLICY).status.in_use


HELD = HeldRole("pgimport_dropped_1", ("database shop_1",))


@pytest.mark.isolation
def test_roles_that_cannot_be_dropped_yet_are_named_with_the_database_that_holds_them() -> None:
    decision = decide_project(observed_project(held_roles=(HELD,)), NOW, POLICY)
    assert decision.status.ready
    (condition,) = [item for item in decision.status.conditions if item.type == "CleanedUp"]
    assert condition.reason == Reason.ROLE_IN_USE
    assert "pgimport_dropped_1 (held by database shop_1)" in (condition.message or "")


@pytest.mark.isolation
def test_the_deletion_of_a_project_names_held_roles_and_does_not_wait() -> None:
    meta = a_meta("shop", deleting=True, finalizers=(FINALIZER_PROJECT,))
    item = observed_project().object
    observed = observed_project(
        object=ProjectObject(meta=meta, spec=item.spec), held_roles=(HELD,), orphaned_objects=("pgimport_dropped_1",)
    )
    decision = decide_project(observed, NOW, POLICY)
    assert decision.actions == (DropOrphanedObjects(), SetFinalizer(False))
    assert "pgimport_dropped_1" in decision.message


@pytest.mark.isolation
def test_a_limit_that_changed_is_set_on_the_owner_roles_that_exist() -> None:
    decision = decide_project(observed_project(roles_with_another_limit=("shop_1_owner",)), NOW, POLICY)
    assert decision.actions == (*NAMESPACE_ACTIONS, SetConnectionLimits(("shop_1_owner",), 50))
