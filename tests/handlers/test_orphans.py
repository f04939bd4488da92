"""What is left when objects go: nothing on the server, and nothing that cannot be deleted."""

import pytest
from tests.handlers.emulated_tenant import NAMESPACE, PASSED, Tenant, ended, running
from tests.handlers.stepwise_operator import PROJECT, Operator, begin, key, make, ready, rows

from pgimport.kubernetes_client import api_paths
from pgimport.model.errors import NotFound
from pgimport.model.names import IMPORTS, PREVIEWS, attempt_names

pytestmark = pytest.mark.slow


def test_a_namespace_that_goes_with_a_live_import_leaves_nothing(tenant: Tenant, name: str) -> None:
    """The operator loses its rights in it first."""
    operator, job = begin(tenant, name)
    pod = tenant.show_pod(job, ended(PASSED, 0), running(), "Running")
    operator.look(key(IMPORTS, name))
    preview = tenant.status(name, PREVIEWS)
    tenant.kubernetes.emulator.faults.namespaces[NAMESPACE] = "Terminating"
    tenant.kubernetes.refuse("GET", f"/namespaces/{NAMESPACE}/secrets", 403, times=1000)
    try:
        tenant.cluster.delete(api_paths.resource(IMPORTS, NAMESPACE, name))
        tenant.cluster.patch(
            api_paths.resource(PREVIEWS, NAMESPACE, name), {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
        )
        operator.look(key(IMPORTS, name), key(PREVIEWS, name), PROJECT)
    finally:
        tenant.kubernetes.emulator.faults.refusals.clear()
        tenant.kubernetes.emulator.faults.namespaces[NAMESPACE] = "Active"
        operator.look(PROJECT)
    with pytest.raises(NotFound):
        tenant.get(PREVIEWS, name)
    shadow = attempt_names(pod)
    assert tenant.exists(shadow.database, shadow.role) == (False, False)
    assert tenant.exists(preview["database"], preview["role"]) == (False, False)


def test_a_preview_that_was_made_and_not_written_down_goes_with_its_database(tenant: Tenant, name: str) -> None:
    ready(tenant, name)
    made = tenant.status(name, PREVIEWS)
    tenant.cluster.patch(
        f"{api_paths.resource(PREVIEWS, NAMESPACE, name)}/status", {"status": {"database": None, "role": None}}
    )
    tenant.cluster.patch(
        api_paths.resource(PREVIEWS, NAMESPACE, name), {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    )
    Operator(tenant.kubernetes).look(key(PREVIEWS, name))
    assert tenant.exists(made["database"], made["role"]) == (False, False)


def test_an_import_that_is_deleted_without_its_dependents_leaves_no_job(tenant: Tenant, name: str) -> None:
    """As `kubectl delete --cascade=orphan` does: Kubernetes takes the owner out of Job and Secret."""
    operator, job = begin(tenant, name)
    pod = tenant.show_pod(job, ended(PASSED, 0), running(), "Running")
    operator.look(key(IMPORTS, name))
    somebodys = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{name}-of-somebody"},
        "spec": {"template": {"spec": {}}},
    }
    tenant.create(api_paths.jobs(NAMESPACE), somebodys)
    own = job["metadata"]["name"]
    for path in (api_paths.jobs(NAMESPACE, own), api_paths.core(NAMESPACE, "secrets", own)):
        tenant.cluster.patch(path, {"metadata": {"ownerReferences": None}})
    tenant.cluster.delete(api_paths.resource(IMPORTS, NAMESPACE, name))
    operator.look(key(IMPORTS, name), PROJECT)
    shadow = attempt_names(pod)
    assert tenant.exists(shadow.database, shadow.role) == (False, False)
    assert tenant.read_secret(own) is None
    left = [one["metadata"]["name"] for one in tenant.cluster.get(api_paths.jobs(NAMESPACE))["items"]]
    assert own not in left
    assert f"{name}-of-somebody" in left


def test_a_job_that_was_made_after_the_clean_up_goes_and_one_that_was_cleaned_up_stays(
    tenant: Tenant, name: str
) -> None:
    operator, job = begin(tenant, name)
    other = f"{name}-other"
    kept = begin(tenant, other)[1]["metadata"]["name"]
    for one in (name, other):
        tenant.cluster.patch(api_paths.resource(IMPORTS, NAMESPACE, one), {"spec": {"cancel": True}})
        operator.look(key(IMPORTS, one))
    own = job["metadata"]["name"]
    tenant.cluster.delete(api_paths.jobs(NAMESPACE, own))
    meta = {part: job["metadata"][part] for part in ("name", "labels", "ownerReferences")}
    tenant.create(api_paths.jobs(NAMESPACE), {"metadata": meta, "spec": job["spec"]})
    operator.look(PROJECT)
    left = [one["metadata"]["name"] for one in tenant.cluster.get(api_paths.jobs(NAMESPACE))["items"]]
    assert own not in left
    assert kept in left


def test_what_has_no_mark_of_ours_stays(tenant: Tenant, name: str) -> None:
    for statement in (
        f"CREATE ROLE pgimport_{name}",
        f"CREATE DATABASE pgimport_{name}",
        f"COMMENT ON DATABASE pgimport_{name} IS 'pgimport'",
        f"CREATE ROLE shop_{name}_owner",
        f"COMMENT ON ROLE shop_{name}_owner IS '{{\"pgimport\": {{}}}}'",
    ):
        tenant.server.execute(statement, user="admin")
    Operator(tenant.kubernetes).look(PROJECT)
    assert tenant.exists(f"pgimport_{name}", f"pgimport_{name}") == (True, True)
    assert tenant.exists("", f"shop_{name}_owner") == (False, True)


def test_a_new_password_comes_by_deleting_the_secret(tenant: Tenant, name: str) -> None:
    ready(tenant, name)
    make(tenant, name, "mine")
    secret = tenant.status(name, PREVIEWS)["connectionSecret"]
    before = tenant.read_secret(secret)
    tenant.cluster.delete(api_paths.core(NAMESPACE, "secrets", secret))
    Operator(tenant.kubernetes).look(key(PREVIEWS, name))
    after = tenant.read_secret(secret)
    assert before is not None
    assert after is not None
    assert before["data"]["password"] != after["data"]["password"]
    assert {word: before["data"][word] for word in ("host", "port", "dbname", "user")} == {
        word: after["data"][word] for word in ("host", "port", "dbname", "user")
    }
    assert rows(tenant, name) == [("mine",)]
