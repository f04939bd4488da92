"""What a tenant puts in our way: Secrets, statuses and bytes that the operator must neither use nor hide."""

import base64
from typing import Any

import pytest
from tests.handlers.emulated_tenant import HOME, NAMESPACE, PASSED, WAITING, Tenant, encoded, ended, running
from tests.handlers.stepwise_operator import PROJECT, Operator, create_ready_preview, key, start_import
from tests.support.kubernetes import Json, a_body

from pgimport.kubernetes_client import api_paths
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS, attempt_names, preview_database_name

pytestmark = pytest.mark.isolation


def a_preview_of(tenant: Tenant, name: str) -> None:
    tenant.create(api_paths.resource(PREVIEWS, NAMESPACE), a_body(PREVIEWS, name, spec={"project": "shop"}))


def conditions(tenant: Tenant, name: str, kind: str) -> dict[str, Json]:
    return {item["type"]: item for item in tenant.status(name, kind)["conditions"]}


def change_status(tenant: Tenant, kind: str, name: str, **fields: Any) -> None:
    path = f"{api_paths.resource(kind, NAMESPACE, name)}/status"
    tenant.cluster.patch(path, {"status": fields})


def change_secret(tenant: Tenant, name: str, entries: dict[str, str | None], namespace: str = NAMESPACE) -> None:
    tenant.cluster.patch(api_paths.core(namespace, "secrets", name), {"data": entries})


def test_a_secret_that_exists_under_the_name_stalls_the_preview_and_is_not_used(tenant: Tenant, name: str) -> None:
    theirs = {"kind": "Secret", "metadata": {"name": f"{name}-connection", "namespace": NAMESPACE}}
    tenant.create(api_paths.core(NAMESPACE, "secrets"), theirs | {"data": encoded(password="known")})
    a_preview_of(tenant, name)
    Operator(tenant.kubernetes).reconcile(key(PREVIEWS, name))
    shown = conditions(tenant, name, PREVIEWS)
    assert (shown["Stalled"]["status"], shown["Stalled"]["reason"]) == ("True", "NameTaken")
    assert f"Secret {name}-connection in namespace {NAMESPACE} exists" in shown["Ready"]["message"]
    database = preview_database_name("shop", name, tenant.get(PREVIEWS, name)["metadata"]["uid"])
    assert tenant.exists(database, f"{database}_owner") == (False, False)
    tenant.cluster.delete(api_paths.core(NAMESPACE, "secrets", f"{name}-connection"))
    Operator(tenant.kubernetes).reconcile(key(PREVIEWS, name))
    assert tenant.status(name, PREVIEWS)["state"] == "ready"


@pytest.mark.parametrize("entry", ["user", "password", "uri"])
@pytest.mark.parametrize("value", [None, "/w==", ""], ids=["missing", "not UTF-8", "empty"])
def test_a_connection_secret_that_lost_an_entry_is_filled_again(
    tenant: Tenant, name: str, entry: str, value: str | None
) -> None:
    create_ready_preview(tenant, name)
    change_secret(tenant, f"{name}-connection", {entry: value})
    Operator(tenant.kubernetes).reconcile(key(PREVIEWS, name))
    with tenant.as_owner(name) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("recreate", [False, True])
@pytest.mark.parametrize("value", [None, "/w=="], ids=["missing", "not UTF-8"])
def test_an_import_names_the_secret_that_it_cannot_use_and_is_cancelled(
    tenant: Tenant, name: str, value: str | None, recreate: bool
) -> None:
    create_ready_preview(tenant, name)
    change_secret(tenant, f"{name}-connection", {"password": value, "user": value})
    tenant.apply_import(name, recreate=recreate)
    operator = Operator(tenant.kubernetes)
    operator.reconcile(key(IMPORTS, name))
    shown = conditions(tenant, name, IMPORTS)["Ready"]
    assert (shown["reason"], f"Secret {name}-connection" in shown["message"]) == ("TargetNotReady", True)
    tenant.cluster.patch(api_paths.resource(IMPORTS, NAMESPACE, name), {"spec": {"cancel": True}})
    operator.reconcile(key(IMPORTS, name))
    assert (tenant.status(name)["state"], tenant.status(name)["cleanedUp"]) == ("cancelled", True)


@pytest.mark.parametrize("value", ["/w==", "", "YQBi"], ids=["not UTF-8", "empty", "NUL"])
def test_an_admin_secret_that_is_no_text_is_named_by_project_and_preview(tenant: Tenant, name: str, value: str) -> None:
    good = tenant.cluster.get(api_paths.core(HOME, "secrets", "admin"))["data"]["user"]
    change_secret(tenant, "admin", {"user": value}, HOME)
    operator = Operator(tenant.kubernetes)
    try:
        a_preview_of(tenant, name)
        operator.reconcile(key(PREVIEWS, name))
        assert conditions(tenant, name, PREVIEWS)["Ready"]["reason"] == "ServerAuthFailed"
        operator.reconcile(PROJECT)
        project = tenant.cluster.get(api_paths.resource(PROJECTS, "", "shop"))
        ready = next(item for item in project["status"]["conditions"] if item["type"] == "Ready")
        assert (ready["reason"], "key user" in ready["message"]) == ("ServerAuthFailed", True)
        operator.reconcile(key(PREVIEWS, name))
        assert "key user" in conditions(tenant, name, PREVIEWS)["Ready"]["message"]
    finally:
        change_secret(tenant, "admin", {"user": good}, HOME)
        operator.reconcile(PROJECT, key(PREVIEWS, name))
    assert tenant.status(name, PREVIEWS)["state"] == "ready"


def test_names_in_the_status_of_a_preview_lead_to_no_other_database(tenant: Tenant, name: str) -> None:
    """Seen before: the preview with the victim's names in its status reset the victim's database."""
    victim = f"{name}-victim"
    create_ready_preview(tenant, victim)
    create_ready_preview(tenant, name)
    names = tenant.status(victim, PREVIEWS)
    with tenant.as_owner(victim) as connection:
        connection.execute("CREATE TABLE theirs (id int)")
    forged = {field: names[field] for field in ("database", "role", "connectionSecret")}
    change_status(tenant, PREVIEWS, name, **forged)
    path = api_paths.resource(PREVIEWS, NAMESPACE, name)
    tenant.cluster.patch(path, {"spec": {"resetAt": "2020-01-01T00:00:00Z"}})
    operator = Operator(tenant.kubernetes)
    operator.reconcile(key(PREVIEWS, name))
    assert tenant.status(name, PREVIEWS)["database"] != names["database"]
    change_status(tenant, PREVIEWS, name, **forged)
    tenant.cluster.delete(path)
    operator.reconcile(key(PREVIEWS, name))
    with tenant.as_owner(victim) as connection:
        assert connection.execute("SELECT count(*) FROM theirs").fetchone() == (0,)


def test_a_pod_in_the_status_of_an_import_leads_to_no_shadow_of_another(tenant: Tenant, name: str) -> None:
    """Seen before: the import that named the victim's pod dropped the victim's shadow, or swapped it in."""
    victim = f"{name}-victim"
    operator, job = start_import(tenant, victim)
    pod = tenant.show_pod(job, running(), WAITING, "Pending")
    tenant.change_pod(pod, ended(PASSED, 0), running(), "Running")
    operator.reconcile(key(IMPORTS, victim))
    names = attempt_names(pod)
    assert tenant.exists(names.database, names.role) == (True, True)
    start_import(tenant, name)
    shadow = {"podUID": pod, "database": names.database, "role": names.role, "verified": True}
    attempt = {"number": 1, "pod": pod, "podUID": pod, "reason": "PodGone"}
    change_status(tenant, IMPORTS, name, shadow=shadow, attemptHistory=[attempt])
    operator.reconcile(key(IMPORTS, name))
    status = tenant.status(name)
    assert (status["state"], "not an attempt of this import" in status["error"]) == ("failed", True)
    assert status["cleanedUp"]
    assert tenant.exists(names.database, names.role) == (True, True)
    assert base64.b64decode(tenant.read_secret(f"{name}-connection")["data"]["dbname"])  # type: ignore[index]


def test_a_target_that_cannot_be_replaced_fails_the_import_before_its_job(tenant: Tenant, name: str) -> None:
    """Seen before: the swap refused it after all rows were copied, as a conflict that was retried for ever."""
    create_ready_preview(tenant, name)
    role, other = tenant.status(name, PREVIEWS)["role"], f"other_{name}"
    tenant.server.execute(f"CREATE DATABASE {other} OWNER {role}")
    tenant.apply_import(name)
    Operator(tenant.kubernetes).reconcile(key(IMPORTS, name))
    status = tenant.status(name)
    assert (status["state"], status["retryClassification"]) == ("failed", "permanent")
    assert f"role {role} also owns database {other}" in status["error"]
    assert tenant.jobs(tenant.get(IMPORTS, name)["metadata"]["uid"]) == []
    tenant.server.execute(f"DROP DATABASE {other}")


def test_an_import_whose_secret_is_deleted_ends_before_its_shadow_is_made(tenant: Tenant, name: str) -> None:
    """Seen before: a conflict without a status, until the deadline."""
    operator, job = start_import(tenant, name)
    pod = tenant.show_pod(job, running(), WAITING, "Pending")
    tenant.change_pod(pod, ended(PASSED, 0), running(), "Running")
    tenant.cluster.delete(api_paths.core(NAMESPACE, "secrets", job["metadata"]["name"]))
    operator.reconcile(key(IMPORTS, name))
    status = tenant.status(name)
    assert (status["state"], "was deleted while the import was running" in status["error"]) == ("failed", True)
    assert tenant.exists(attempt_names(pod).database, attempt_names(pod).role) == (False, False)
