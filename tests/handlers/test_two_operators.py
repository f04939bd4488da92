"""Two operators at once, and one with an outdated view: nothing is done twice, and nothing newer is dropped.

Each operator is a `ReconcileContext` of its own over one emulated API and one real PostgreSQL.
The test lets them reconcile in turn.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from threading import Barrier

import pytest
from tests.handlers.emulated_tenant import NAMESPACE, PASSED, Tenant, ended, running
from tests.handlers.stepwise_operator import (
    PROJECT,
    EmptyLists,
    Operator,
    create_ready_preview,
    create_table,
    key,
    read_tables,
    start_import,
)
from tests.support.kubernetes import a_body
from tests.support.samples import a_result

from pgimport.decide.observed_objects import ObservedImport
from pgimport.kubernetes_client import api_paths
from pgimport.model.errors import Conflict
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS, attempt_names
from pgimport.model.resources import ResourceKey
from pgimport.reconcile import reconcile_loop
from pgimport.reconcile.observe_imports import observe_import
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.reconcile.reconcile_loop import reconcile

pytestmark = pytest.mark.slow


# --- an outdated view ---


def _reset(tenant: Tenant, name: str) -> None:
    tenant.cluster.patch(
        api_paths.resource(PREVIEWS, NAMESPACE, name), {"spec": {"resetAt": datetime.now(UTC).isoformat()}}
    )


def _expire(tenant: Tenant, name: str) -> None:
    tenant.cluster.patch(
        api_paths.resource(PREVIEWS, NAMESPACE, name), {"spec": {"renewedAt": "2020-01-01T00:00:00Z", "ttl": "1h"}}
    )


def _renew(tenant: Tenant, name: str) -> None:
    tenant.cluster.patch(
        api_paths.resource(PREVIEWS, NAMESPACE, name), {"spec": {"renewedAt": datetime.now(UTC).isoformat()}}
    )


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("change", "next_change"),
    [
        pytest.param(_reset, lambda *_: None, id="reset"),
        pytest.param(_expire, _renew, id="expired and renewed"),
    ],
)
def test_a_newer_database_is_not_dropped(
    tenant: Tenant, name: str, change: Callable[[Tenant, str], None], next_change: Callable[[Tenant, str], None]
) -> None:
    create_ready_preview(tenant, name)
    create_table(tenant, name, "before")
    change(tenant, name)
    late, other = Operator(tenant.kubernetes), Operator(tenant.kubernetes)
    late.freeze(key(PREVIEWS, name), f"/previewdatabases/{name}/status")
    other.reconcile(key(PREVIEWS, name))
    next_change(tenant, name)
    other.reconcile(key(PREVIEWS, name))
    create_table(tenant, name, "newer")
    with pytest.raises(Conflict):
        late.reconcile(key(PREVIEWS, name))
    assert read_tables(tenant, name) == [("newer",)]


def test_an_outdated_list_drops_no_database_of_a_newer_owner(tenant: Tenant, name: str) -> None:
    late = Operator(tenant.kubernetes)
    late.reconcile(PROJECT)
    late.view.is_frozen = True
    create_ready_preview(tenant, name)
    create_table(tenant, name, "mine")
    operator, job = start_import(tenant, f"{name}-import")
    pod = tenant.show_pod(job, ended(PASSED, 0), running(), "Running")
    operator.reconcile(key(IMPORTS, f"{name}-import"))
    with suppress(Conflict):  # the sweep comes before the status
        late.reconcile(PROJECT)
    assert read_tables(tenant, name) == [("mine",)]
    shadow = attempt_names(pod)
    assert tenant.exists(shadow.database, shadow.role) == (True, True)


def test_a_cache_without_the_owner_drops_nothing(tenant: Tenant, name: str) -> None:
    """The databases of a new owner are marked, and another operator's cache does not have the owner yet."""
    create_ready_preview(tenant, name)
    create_table(tenant, name, "mine")
    operator, job = start_import(tenant, f"{name}-import")
    pod = tenant.show_pod(job, ended(PASSED, 0), running(), "Running")
    operator.reconcile(key(IMPORTS, f"{name}-import"))
    Operator(tenant.kubernetes, EmptyLists()).reconcile(PROJECT)
    assert read_tables(tenant, name) == [("mine",)]
    shadow = attempt_names(pod)
    assert tenant.exists(shadow.database, shadow.role) == (True, True)


def test_a_cache_without_the_older_project_lets_no_other_one_take_its_namespace(tenant: Tenant, name: str) -> None:
    spec = tenant.cluster.get(api_paths.resource(PROJECTS, name="shop"))["spec"]
    younger = a_body(PROJECTS, name, None, spec=spec)
    younger["metadata"]["creationTimestamp"] = "2099-01-01T00:00:00Z"  # in the same second, the uids would decide
    tenant.create(api_paths.resource(PROJECTS), younger)
    Operator(tenant.kubernetes, EmptyLists()).reconcile(ResourceKey(PROJECTS, "", name))
    status = tenant.cluster.get(api_paths.resource(PROJECTS, name=name))["status"]
    assert {condition["reason"] for condition in status["conditions"]} == {"NamespaceTaken"}
    tenant.cluster.delete(api_paths.resource(PROJECTS, name=name))


def test_a_terminal_import_gets_no_job_no_secret_and_no_shadow(tenant: Tenant, name: str) -> None:
    tenant.apply(name)
    operator = Operator(tenant.kubernetes)
    operator.reconcile(key(PREVIEWS, name))
    reconcile(operator.context, key(IMPORTS, name))
    late = Operator(tenant.kubernetes)
    late.freeze(key(IMPORTS, name), f"/postgresimports/{name}/status")
    tenant.cluster.patch(api_paths.resource(IMPORTS, NAMESPACE, name), {"spec": {"cancel": True}})
    operator.reconcile(key(IMPORTS, name))
    assert tenant.status(name)["state"] == "cancelled"
    with pytest.raises(Conflict):
        late.reconcile(key(IMPORTS, name))
    assert tenant.jobs(tenant.get(IMPORTS, name)["metadata"]["uid"]) == []
    assert [secret for secret in _secrets(tenant) if secret.startswith(f"pgi-{name}")] == []


def test_the_gate_is_not_opened_for_a_terminal_import(tenant: Tenant, name: str) -> None:
    operator, job = start_import(tenant, name)
    pod = tenant.show_pod(job, ended(PASSED, 0), running(), "Running")
    late = Operator(tenant.kubernetes)
    late.freeze(key(IMPORTS, name), f"/postgresimports/{name}/status")
    tenant.cluster.patch(api_paths.resource(IMPORTS, NAMESPACE, name), {"spec": {"cancel": True}})
    operator.reconcile(key(IMPORTS, name))
    with pytest.raises(Conflict):
        late.reconcile(key(IMPORTS, name))
    shadow = attempt_names(pod)
    assert tenant.exists(shadow.database, shadow.role) == (False, False)


def _secrets(tenant: Tenant) -> list[str]:
    return [item["metadata"]["name"] for item in tenant.cluster.get(api_paths.core(NAMESPACE, "secrets"))["items"]]


# --- the sweep ---


def test_a_shadow_created_after_the_clean_up_is_swept(tenant: Tenant, name: str) -> None:
    operator, job = start_import(tenant, name)
    pod = tenant.show_pod(job, ended(PASSED, 0), running(), "Running")
    operator.reconcile(key(IMPORTS, name))
    shadow = attempt_names(pod)
    comment = tenant.server.query(
        f"SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = '{shadow.role}'"  # noqa: S608
    )[0][0]
    tenant.cluster.patch(api_paths.resource(IMPORTS, NAMESPACE, name), {"spec": {"cancel": True}})
    operator.reconcile(key(IMPORTS, name))
    assert tenant.exists(shadow.database, shadow.role) == (False, False)
    tenant.server.execute(f"CREATE ROLE {shadow.role}", user="admin")
    tenant.server.execute(f"COMMENT ON ROLE {shadow.role} IS '{comment}'", user="admin")
    tenant.server.execute(f"CREATE DATABASE {shadow.database}", user="admin")
    Operator(tenant.kubernetes).reconcile(PROJECT)
    assert tenant.exists(shadow.database, shadow.role) == (False, False)


# --- two operators at work ---


def test_two_operators_in_turn_complete_one_import(tenant: Tenant, name: str) -> None:
    tenant.apply(name)
    both = Operator(tenant.kubernetes), Operator(tenant.kubernetes)

    def reconcile_both() -> None:
        for operator in both:
            operator.reconcile(key(PREVIEWS, name), key(IMPORTS, name))

    reconcile_both()
    uid = tenant.get(IMPORTS, name)["metadata"]["uid"]
    assert len(tenant.jobs(uid)) == 1
    job = tenant.job(name)
    pod = tenant.show_pod(job, ended(PASSED, 0), running(), "Running")
    reconcile_both()
    tenant.fill(job, pod, "CREATE TABLE cats (id int)")
    tenant.change_pod(pod, ended(PASSED, 0), ended(a_result(), 0), "Succeeded")
    tenant.end_job(job, {"type": "Complete", "status": "True"})
    reconcile_both()
    status = tenant.status(name)
    assert (status["state"], status["attempts"], status["cleanedUp"]) == ("completed", 1, True)
    assert read_tables(tenant, name) == [("cats",)]


@pytest.fixture
def one_slot(tenant: Tenant) -> Iterator[None]:
    def limit(number: int | None) -> None:
        tenant.cluster.patch(
            api_paths.resource(PROJECTS, "", "shop"), {"spec": {"limits": {"maxConcurrentImports": number}}}
        )
        Operator(tenant.kubernetes).reconcile(PROJECT)

    for item in tenant.cluster.get(api_paths.resource(IMPORTS, NAMESPACE))["items"]:
        tenant.cluster.patch(
            api_paths.resource(IMPORTS, NAMESPACE, item["metadata"]["name"]), {"spec": {"cancel": True}}
        )
        Operator(tenant.kubernetes).reconcile(key(IMPORTS, item["metadata"]["name"]))
    limit(1)
    yield
    limit(None)


@pytest.mark.usefixtures("one_slot")
@pytest.mark.parametrize(
    "lists", [None, EmptyLists()], ids=["without a cache", "with caches that lack the other import"]
)
def test_two_operators_that_observe_one_free_slot_use_it_once(
    tenant: Tenant, name: str, lists: EmptyLists | None
) -> None:
    names = [f"{name}-{letter}" for letter in "ab"]
    for import_name in names:
        tenant.apply(import_name)
        Operator(tenant.kubernetes).reconcile(key(PREVIEWS, import_name))
    late, other = Operator(tenant.kubernetes, lists), Operator(tenant.kubernetes, lists)
    late.freeze(key(IMPORTS, names[0]), f"/postgresimports/{names[0]}/status")
    reconcile(other.context, key(IMPORTS, names[1]))
    reconcile(late.context, key(IMPORTS, names[0]))
    assert [tenant.status(import_name)["state"] for import_name in names] == ["running", "running"]
    late.view.is_frozen = False
    for operator, import_name in ((late, names[0]), (other, names[1])) * 2:
        operator.reconcile(key(IMPORTS, import_name))
    jobs = [tenant.jobs(tenant.get(IMPORTS, import_name)["metadata"]["uid"]) for import_name in names]
    assert sorted(map(len, jobs)) == [0, 1]
    assert sorted(str(tenant.status(import_name)["state"]) for import_name in names) == ["pending", "running"]


@pytest.mark.usefixtures("one_slot")
def test_a_slot_that_the_cache_shows_as_free_is_not_taken(tenant: Tenant, name: str) -> None:
    """An operator's cache has its own writes, but those of another operator come later."""
    names = [f"{name}-{letter}" for letter in "ab"]
    for import_name in names:
        tenant.apply(import_name)
        operator = Operator(tenant.kubernetes, EmptyLists())
        operator.reconcile(key(PREVIEWS, import_name))
        reconcile(operator.context, key(IMPORTS, import_name))
    assert [tenant.status(import_name)["state"] for import_name in names] == ["running", "pending"]


@pytest.mark.usefixtures("one_slot")
def test_two_workers_that_observe_one_free_slot_use_it_once(
    tenant: Tenant, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{name}-{letter}" for letter in "ab"]
    operator = Operator(tenant.kubernetes)
    for import_name in names:
        tenant.apply(import_name)
        operator.reconcile(key(PREVIEWS, import_name))
    both = Barrier(2)

    def observe_together(context: ReconcileContext, item: ResourceKey, now: datetime) -> ObservedImport | None:
        observed = observe_import(context, item, now)
        both.wait(20)
        return observed

    changed = replace(reconcile_loop.RECONCILERS[IMPORTS], observe=observe_together)
    monkeypatch.setitem(reconcile_loop.RECONCILERS, IMPORTS, changed)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda import_name: reconcile(operator.context, key(IMPORTS, import_name)), names))
    assert sorted(str(tenant.status(import_name)["state"]) for import_name in names) == ["pending", "running"]
