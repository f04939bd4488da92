"""Previews that lost their database or their connection Secret get it back without a change of theirs."""

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.handlers.emulated_tenant import NAMESPACE, Tenant
from tests.handlers.stepwise_operator import PROJECT, Operator, create_ready_preview, key
from tests.support.kubernetes import a_body
from tests.support.samples import IMPORT_UID, NOW, observed_import

from pgimport.decide.decision import ReleaseTarget
from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.custom_resources import read_preview
from pgimport.model.errors import Forbidden
from pgimport.model.names import PREVIEWS, namespace_names
from pgimport.model.scalar_types import format_time
from pgimport.model.status import ImportState, ImportStatus
from pgimport.reconcile import preview_checks
from pgimport.reconcile.act_on_imports import act_on_import
from pgimport.reconcile.preview_checks import PARTS
from pgimport.reconcile.reconcile_context import OperatorIdentity
from pgimport.reconcile.reconcile_loop import reconcile


def read_events(tenant: Tenant, name: str) -> list[tuple[str, str, str]]:
    events = tenant.cluster.get(api_paths.events(NAMESPACE))["items"]
    return [(body["type"], body["reason"], body["note"]) for body in events if body["regarding"]["name"] == name]


def read_password(tenant: Tenant, name: str) -> str:
    secret: Any = tenant.read_secret(f"{name}-connection")
    return base64.b64decode(secret["data"]["password"]).decode()


def test_a_dropped_database_is_found_and_created_again(tenant: Tenant, name: str) -> None:
    """Before, the preview stayed ready, and only a reset brought a database."""
    create_ready_preview(tenant, name)
    database, password = tenant.status(name, PREVIEWS)["database"], read_password(tenant, name)
    tenant.server.execute(f"DROP DATABASE {database} WITH (FORCE)")
    operator = Operator(tenant.kubernetes)
    operator.reconcile(PROJECT)  # adds its finalizer first
    assert key(PREVIEWS, name) in reconcile(operator.context, PROJECT).wake
    reconcile(operator.context, key(PREVIEWS, name))
    assert tenant.status(name, PREVIEWS)["state"] == "pending"
    (event,) = [event for event in read_events(tenant, name) if event[1] == "DatabaseGone"]
    assert (event[0], f"Database {database} no longer exists" in event[2]) == ("Warning", True)
    operator.reconcile(key(PREVIEWS, name))
    status = tenant.status(name, PREVIEWS)
    assert (status["state"], "databaseLostAt" in status) == ("ready", True)
    assert read_password(tenant, name) == password
    with tenant.as_owner(name) as connection:
        connection.execute("CREATE TABLE again (id int)")
    assert key(PREVIEWS, name) not in reconcile(operator.context, PROJECT).wake


def test_a_completed_import_removes_the_note_about_the_lost_content(tenant: Tenant, name: str) -> None:
    create_ready_preview(tenant, name)
    claimed = {"databaseLostAt": format_time(NOW), "activeImport": IMPORT_UID, "activeImportName": "refill"}
    path = f"{api_paths.resource(PREVIEWS, NAMESPACE, name)}/status"
    tenant.cluster.patch(path, {"status": claimed})
    operator = Operator(tenant.kubernetes)
    completed = ImportStatus(state=ImportState.COMPLETED, data_as_of=NOW)
    preview = read_preview(operator.context.cluster, NAMESPACE, name)
    act_on_import(operator.context, observed_import(status=completed, preview=preview), ReleaseTarget())
    status = tenant.status(name, PREVIEWS)
    assert ("databaseLostAt" in status, "activeImport" in status) == (False, False)
    assert status["dataAsOf"] == format_time(NOW)


def test_a_database_that_exists_is_never_taken_for_a_lost_one(tenant: Tenant, name: str) -> None:
    """The list of marks is older than the suspicion: another reconcile may have created the database meanwhile."""
    create_ready_preview(tenant, name)
    operator = Operator(tenant.kubernetes)
    operator.context.preview_checks.suspect([key(PREVIEWS, name)])
    operator.reconcile(key(PREVIEWS, name))
    status = tenant.status(name, PREVIEWS)
    assert (status["state"], "databaseLostAt" in status) == ("ready", False)


@pytest.mark.parametrize("lost", ["the Secret", "an entry"])
def test_a_lost_connection_is_found_and_replaced(
    tenant: Tenant, name: str, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, this took up to an hour, and no event told why the password had changed."""
    monkeypatch.setattr(preview_checks, "SHORTEST_INTERVAL", timedelta(0))
    create_ready_preview(tenant, name)
    path, old = api_paths.core(NAMESPACE, "secrets", f"{name}-connection"), read_password(tenant, name)
    if lost == "the Secret":
        tenant.cluster.delete(path)
    else:
        tenant.cluster.patch(path, {"data": {"uri": None}})
    operator = Operator(tenant.kubernetes)
    operator.reconcile(PROJECT)  # adds its finalizer first
    woken = [reconcile(operator.context, PROJECT).wake for _ in range(PARTS)]
    assert sum(key(PREVIEWS, name) in keys for keys in woken) == 1
    operator.reconcile(key(PREVIEWS, name))
    assert read_password(tenant, name) != old
    with tenant.as_owner(name) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    (event,) = [event for event in read_events(tenant, name) if event[1] == "ConnectionReplaced"]
    assert (event[0], f"Secret {name}-connection" in event[2]) == ("Warning", True)
    assert read_password(tenant, name) not in str(read_events(tenant, name))


def test_a_check_without_the_right_to_read_secrets_still_grants_it(
    tenant: Tenant, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview_checks, "SHORTEST_INTERVAL", timedelta(0))
    create_ready_preview(tenant, name)
    tenant.kubernetes.refuse("GET", f"/secrets/{name}-connection", 403)
    operator = Operator(tenant.kubernetes)
    for _ in range(PARTS):
        assert key(PREVIEWS, name) not in reconcile(operator.context, PROJECT).wake


def test_a_namespace_that_was_created_again_gets_its_rights_at_once(tenant: Tenant, name: str) -> None:
    """Before, a preview in it showed RepeatedError until the next check of the Project, a minute or two later."""
    operator = Operator(tenant.kubernetes)
    identity = OperatorIdentity(service_account="operator", tenant_cluster_role="tenant")
    policy = replace(operator.context.policy, release_name=name)
    operator.context = replace(operator.context, identity=identity, policy=policy)
    binding = api_paths.role_bindings(NAMESPACE, namespace_names(name).operator_binding)
    tenant.create(api_paths.resource(PREVIEWS, NAMESPACE), a_body(PREVIEWS, name, spec={"project": "shop"}))
    tenant.kubernetes.refuse("POST", "/secrets", 403)
    operator.reconcile(key(PREVIEWS, name))
    assert tenant.status(name, PREVIEWS)["state"] == "ready"
    assert tenant.cluster.get(binding)["roleRef"]["name"] == "tenant"
    tenant.kubernetes.refuse("GET", f"/secrets/{name}-connection", 403)
    with pytest.raises(Forbidden):  # it has its rights, so something else refuses it
        reconcile(operator.context, key(PREVIEWS, name))
