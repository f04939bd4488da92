"""Deleted objects leave nothing on the server and nothing that cannot be deleted."""

import pytest
from tests.handlers.emulated_tenant import NAMESPACE, PASSED, Tenant, ended, running
from tests.handlers.stepwise_operator import (
    PROJECT,
    Operator,
    create_ready_preview,
    create_table,
    key,
    read_tables,
    start_import,
)

from pgimport.kubernetes_client import api_paths
from pgimport.model.errors import NotFound
from pgimport.model.names import IMPORTS, LABEL_IMPORT_UID, PREVIEWS, attempt_names

pytestmark = pytest.mark.slow


def test_a_namespace_that_is_deleted_with_a_running_import_leaves_nothing(tenant: Tenant, name: str) -> None:
    """Kubernetes deletes the operator's RoleBinding first."""
    operator, job = start_import(tenant, name)
    pod = tenant.show_pod(job, ended(PASSED, 0), running(), "Running")
    operator.reconcile(key(IMPORTS, name))
    preview = tenant.status(name, PREVIEWS)
    tenant.kubernetes.emulator.faults.namespaces[NAMESPACE] = "Terminating"
    tenant.kubernetes.refuse("GET", f"/namespaces/{NAMESPACE}/secrets", 403, times=1000)
    try:
        tenant.cluster.delete(api_paths.resource(IMPORTS, NAMESPACE, name))
        tenant.cluster.patch(
            api_paths.resource(PREVIEWS, NAMESPACE, name), {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
        )
        operator.reconcile(key(IMPORTS, name), key(PREVIEWS, name), PROJECT)
    finally:
        tenant.kubernetes.emulator.faults.refusals.clear()
        tenant.kubernetes.emulator.faults.namespaces[NAMESPACE] = "Active"
        operator.reconcile(PROJECT)
    with pytest.raises(NotFound):
        tenant.get(PREVIEWS, name)
    shadow = attempt_names(pod)
    assert tenant.exists(shadow.database, shadow.role) == (False, False)
    assert tenant.exists(preview["database"], preview["role"]) == (False, False)


def test_a_deleted_preview_whose_status_names_no_database_is_dropped_all_the_same(tenant: Tenant, name: str) -> None:
    create_ready_preview(tenant, name)
    status = tenant.status(name, PREVIEWS)
    tenant.cluster.patch(
        f"{api_paths.resource(PREVIEWS, NAMESPACE, name)}/status", {"status": {"database": None, "role": None}}
    )
    tenant.cluster.patch(
        api_paths.resource(PREVIEWS, NAMESPACE, name), {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    )
    Operator(tenant.kubernetes).reconcile(key(PREVIEWS, name))
    assert tenant.exists(status["database"], status["role"]) == (False, False)


def test_an_import_that_is_deleted_without_its_dependents_leaves_no_job(tenant: Tenant, name: str) -> None:
    """`kubectl delete --cascade=orphan` removes the owner references of Job and Secret."""
    operator, job = start_import(tenant, name)
    pod = tenant.show_pod(job, ended(PASSED, 0), running(), "Running")
    operator.reconcile(key(IMPORTS, name))
    foreign_job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{name}-of-another-owner"},
        "spec": {"template": {"spec": {}}},
    }
    tenant.create(api_paths.jobs(NAMESPACE), foreign_job)
    own = job["metadata"]["name"]
    for path in (api_paths.jobs(NAMESPACE, own), api_paths.core(NAMESPACE, "secrets", own)):
        tenant.cluster.patch(path, {"metadata": {"ownerReferences": None}})
    tenant.cluster.delete(api_paths.resource(IMPORTS, NAMESPACE, name))
    operator.reconcile(key(IMPORTS, name), PROJECT)
    shadow = attempt_names(pod)
    assert tenant.exists(shadow.database, shadow.role) == (False, False)
    assert tenant.read_secret(own) is None
    jobs = [item["metadata"]["name"] for item in tenant.cluster.get(api_paths.jobs(NAMESPACE))["items"]]
    assert own not in jobs
    assert f"{name}-of-another-owner" in jobs


@pytest.mark.isolation
def test_a_job_with_our_label_lets_the_operator_delete_no_secret_of_others(tenant: Tenant, name: str) -> None:
    """Whoever may create Jobs chooses their names and labels. Seen before: the Secret of this name was deleted."""
    create_ready_preview(tenant, name)
    secret = tenant.status(name, PREVIEWS)["connectionSecret"]
    for chosen in (secret, f"{name}-app"):
        meta = {"name": chosen, "labels": {LABEL_IMPORT_UID: "gone"}}
        tenant.create(api_paths.jobs(NAMESPACE), {"metadata": meta, "spec": {"template": {"spec": {}}}})
    app = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{name}-app"}}
    tenant.create(api_paths.core(NAMESPACE, "secrets"), app)
    before = tenant.read_secret(secret)
    Operator(tenant.kubernetes).reconcile(PROJECT)
    jobs = [item["metadata"]["name"] for item in tenant.cluster.get(api_paths.jobs(NAMESPACE))["items"]]
    assert secret not in jobs
    assert before is not None
    assert tenant.read_secret(secret) == before
    assert tenant.read_secret(f"{name}-app") is not None


def test_a_job_created_after_the_clean_up_is_deleted_and_a_cleaned_up_one_stays(tenant: Tenant, name: str) -> None:
    operator, job = start_import(tenant, name)
    other = f"{name}-other"
    kept = start_import(tenant, other)[1]["metadata"]["name"]
    for import_name in (name, other):
        tenant.cluster.patch(api_paths.resource(IMPORTS, NAMESPACE, import_name), {"spec": {"cancel": True}})
        operator.reconcile(key(IMPORTS, import_name))
    own = job["metadata"]["name"]
    tenant.cluster.delete(api_paths.jobs(NAMESPACE, own))
    meta = {part: job["metadata"][part] for part in ("name", "labels", "ownerReferences")}
    tenant.create(api_paths.jobs(NAMESPACE), {"metadata": meta, "spec": job["spec"]})
    operator.reconcile(PROJECT)
    jobs = [item["metadata"]["name"] for item in tenant.cluster.get(api_paths.jobs(NAMESPACE))["items"]]
    assert own not in jobs
    assert kept in jobs


def test_databases_and_roles_without_our_mark_stay(tenant: Tenant, name: str) -> None:
    for statement in (
        f"CREATE ROLE pgimport_{name}",
        f"CREATE DATABASE pgimport_{name}",
        f"COMMENT ON DATABASE pgimport_{name} IS 'pgimport'",
        f"CREATE ROLE shop_{name}_owner",
        f"COMMENT ON ROLE shop_{name}_owner IS '{{\"pgimport\": {{}}}}'",
    ):
        tenant.server.execute(statement, user="admin")
    Operator(tenant.kubernetes).reconcile(PROJECT)
    assert tenant.exists(f"pgimport_{name}", f"pgimport_{name}") == (True, True)
    assert tenant.exists("", f"shop_{name}_owner") == (False, True)


def test_deleting_the_secret_brings_a_new_password(tenant: Tenant, name: str) -> None:
    create_ready_preview(tenant, name)
    create_table(tenant, name, "mine")
    secret = tenant.status(name, PREVIEWS)["connectionSecret"]
    before = tenant.read_secret(secret)
    tenant.cluster.delete(api_paths.core(NAMESPACE, "secrets", secret))
    Operator(tenant.kubernetes).reconcile(key(PREVIEWS, name))
    after = tenant.read_secret(secret)
    assert before is not None
    assert after is not None
    assert before["data"]["password"] != after["data"]["password"]
    assert {entry: before["data"][entry] for entry in ("host", "port", "dbname", "user")} == {
        entry: after["data"][entry] for entry in ("host", "port", "dbname", "user")
    }
    assert read_tables(tenant, name) == [("mine",)]


def test_the_database_of_a_preview_that_cannot_be_read_stays(tenant: Tenant, name: str) -> None:
    """A newer CRD may forbid what a stored object has. Before version 1.30, Kubernetes then refuses each write of it.

    The sweep took such a preview for gone, and dropped its database with its data.
    """
    create_ready_preview(tenant, name)
    create_table(tenant, name, "kept")
    preview = tenant.status(name, PREVIEWS)
    path = api_paths.resource(PREVIEWS, NAMESPACE, name)
    tenant.cluster.patch(path, {"spec": {"newer": True}})
    message = f'PreviewDatabase.capydb.dev "{name}" is invalid: spec.newer: forbidden'
    tenant.kubernetes.refuse("PATCH", f"{path}/status", 422, times=1000, message=message)
    try:
        Operator(tenant.kubernetes).reconcile(PROJECT)
    finally:
        tenant.kubernetes.emulator.faults.refusals.clear()
    assert tenant.exists(preview["database"], preview["role"]) == (True, True)
    assert read_tables(tenant, name) == [("kept",)]
