"""Two operators at once, and one that acts on what it saw long ago: nothing is done twice, nothing newer is lost.

Each operator is a `ReconcileContext` of its own over one emulated API and one real PostgreSQL.
The test lets them look in turn.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from tests.handlers.emulated_tenant import NAMESPACE, PASSED, Tenant, ended, running
from tests.handlers.stepwise_operator import PROJECT, Operator, begin, key, make, ready, rows
from tests.support.samples import a_result

from pgimport.kubernetes_client import api_paths
from pgimport.model.errors import Conflict
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS, attempt_names
from pgimport.reconcile.loop import reconcile

pytestmark = pytest.mark.slow


# --- the view is old ---


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
    ("wish", "more"),
    [
        pytest.param(_reset, lambda *_: None, id="reset"),
        pytest.param(_expire, _renew, id="expired and renewed"),
    ],
)
def test_a_newer_database_is_not_dropped(
    tenant: Tenant, name: str, wish: Callable[[Tenant, str], None], more: Callable[[Tenant, str], None]
) -> None:
    ready(tenant, name)
    make(tenant, name, "before")
    wish(tenant, name)
    late, other = Operator(tenant.kubernetes), Operator(tenant.kubernetes)
    late.freeze(key(PREVIEWS, name), f"/previewdatabases/{name}/status")
    other.look(key(PREVIEWS, name))
    more(tenant, name)
    other.look(key(PREVIEWS, name))
    make(tenant, name, "newer")
    with pytest.raises(Conflict):
        late.look(key(PREVIEWS, name))
    assert rows(tenant, name) == [("newer",)]


def test_a_list_that_does_not_show_an_owner_yet_costs_nobody_a_database(tenant: Tenant, name: str) -> None:
    late = Operator(tenant.kubernetes)
    late.look(PROJECT)
    late.view.remembers = True
    ready(tenant, name)
    make(tenant, name, "mine")
    operator, job = begin(tenant, f"{name}-import")
    pod = tenant.show_pod(job, ended(PASSED, 0), running(), "Running")
    operator.look(key(IMPORTS, f"{name}-import"))
    late.look(PROJECT)
    assert rows(tenant, name) == [("mine",)]
    shadow = attempt_names(pod)
    assert tenant.exists(shadow.database, shadow.role) == (True, True)


def test_an_import_that_has_ended_gets_no_job_no_secret_and_no_shadow(tenant: Tenant, name: str) -> None:
    tenant.apply(name)
    operator = Operator(tenant.kubernetes)
    operator.look(key(PREVIEWS, name))
    reconcile(operator.context, key(IMPORTS, name))
    late = Operator(tenant.kubernetes)
    late.freeze(key(IMPORTS, name), f"/postgresimports/{name}/status")
    tenant.cluster.patch(api_paths.resource(IMPORTS, NAMESPACE, name), {"spec": {"cancel": True}})
    operator.look(key(IMPORTS, name))
    assert tenant.status(name)["state"] == "cancelled"
    with pytest.raises(Conflict):
        late.look(key(IMPORTS, name))
    assert tenant.jobs(tenant.get(IMPORTS, name)["metadata"]["uid"]) == []
    assert [one for one in _secrets(tenant) if one.startswith(f"pgi-{name}")] == []


def test_a_gate_is_not_opened_for_an_import_that_has_ended(tenant: Tenant, name: str) -> None:
    operator, job = begin(tenant, name)
    pod = tenant.show_pod(job, ended(PASSED, 0), running(), "Running")
    late = Operator(tenant.kubernetes)
    late.freeze(key(IMPORTS, name), f"/postgresimports/{name}/status")
    tenant.cluster.patch(api_paths.resource(IMPORTS, NAMESPACE, name), {"spec": {"cancel": True}})
    operator.look(key(IMPORTS, name))
    with pytest.raises(Conflict):
        late.look(key(IMPORTS, name))
    shadow = attempt_names(pod)
    assert tenant.exists(shadow.database, shadow.role) == (False, False)


def _secrets(tenant: Tenant) -> list[str]:
    return [one["metadata"]["name"] for one in tenant.cluster.get(api_paths.core(NAMESPACE, "secrets"))["items"]]


# --- what is left all the same ---


def test_what_was_made_for_an_import_after_its_clean_up_is_swept(tenant: Tenant, name: str) -> None:
    operator, job = begin(tenant, name)
    pod = tenant.show_pod(job, ended(PASSED, 0), running(), "Running")
    operator.look(key(IMPORTS, name))
    shadow = attempt_names(pod)
    comment = tenant.server.query(
        f"SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = '{shadow.role}'"  # noqa: S608
    )[0][0]
    tenant.cluster.patch(api_paths.resource(IMPORTS, NAMESPACE, name), {"spec": {"cancel": True}})
    operator.look(key(IMPORTS, name))
    assert tenant.exists(shadow.database, shadow.role) == (False, False)
    tenant.server.execute(f"CREATE ROLE {shadow.role}", user="admin")
    tenant.server.execute(f"COMMENT ON ROLE {shadow.role} IS '{comment}'", user="admin")
    tenant.server.execute(f"CREATE DATABASE {shadow.database}", user="admin")
    Operator(tenant.kubernetes).look(PROJECT)
    assert tenant.exists(shadow.database, shadow.role) == (False, False)


# --- both at work ---


def test_two_operators_that_look_in_turn_bring_one_import_to_its_end(tenant: Tenant, name: str) -> None:
    tenant.apply(name)
    both = Operator(tenant.kubernetes), Operator(tenant.kubernetes)

    def look() -> None:
        for operator in both:
            operator.look(key(PREVIEWS, name), key(IMPORTS, name))

    look()
    uid = tenant.get(IMPORTS, name)["metadata"]["uid"]
    assert len(tenant.jobs(uid)) == 1
    job = tenant.job(name)
    pod = tenant.show_pod(job, ended(PASSED, 0), running(), "Running")
    look()
    tenant.fill(job, pod, "CREATE TABLE cats (id int)")
    tenant.change_pod(pod, ended(PASSED, 0), ended(a_result(), 0), "Succeeded")
    tenant.end_job(job, {"type": "Complete", "status": "True"})
    look()
    status = tenant.status(name)
    assert (status["state"], status["attempts"], status["cleanedUp"]) == ("completed", 1, True)
    assert rows(tenant, name) == [("cats",)]


@pytest.fixture
def one_slot(tenant: Tenant) -> Iterator[None]:
    def limit(number: int | None) -> None:
        tenant.cluster.patch(
            api_paths.resource(PROJECTS, "", "shop"), {"spec": {"limits": {"maxConcurrentImports": number}}}
        )
        Operator(tenant.kubernetes).look(PROJECT)

    for one in tenant.cluster.get(api_paths.resource(IMPORTS, NAMESPACE))["items"]:
        tenant.cluster.patch(
            api_paths.resource(IMPORTS, NAMESPACE, one["metadata"]["name"]), {"spec": {"cancel": True}}
        )
        Operator(tenant.kubernetes).look(key(IMPORTS, one["metadata"]["name"]))
    limit(1)
    yield
    limit(None)


@pytest.mark.usefixtures("one_slot")
def test_two_operators_that_see_one_free_slot_fill_it_once(tenant: Tenant, name: str) -> None:
    names = [f"{name}-{letter}" for letter in "ab"]
    for one in names:
        tenant.apply(one)
        Operator(tenant.kubernetes).look(key(PREVIEWS, one))
    late, other = Operator(tenant.kubernetes), Operator(tenant.kubernetes)
    late.freeze(key(IMPORTS, names[0]), f"/postgresimports/{names[0]}/status")
    reconcile(other.context, key(IMPORTS, names[1]))
    reconcile(late.context, key(IMPORTS, names[0]))
    assert [tenant.status(one)["state"] for one in names] == ["running", "running"]
    late.view.remembers = False
    for operator, one in ((late, names[0]), (other, names[1])) * 2:
        operator.look(key(IMPORTS, one))
    jobs = [tenant.jobs(tenant.get(IMPORTS, one)["metadata"]["uid"]) for one in names]
    assert sorted(map(len, jobs)) == [0, 1]
    assert sorted(str(tenant.status(one)["state"]) for one in names) == ["pending", "running"]
