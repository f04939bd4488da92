"""Imports that a Project's history deletes, on an emulated Kubernetes API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.handlers.emulated_tenant import NAMESPACE, Tenant
from tests.handlers.stepwise_operator import PROJECT, Operator
from tests.support.kubernetes import a_body

from pgimport.decide.projects import decide_project
from pgimport.kubernetes_client import api_paths
from pgimport.model.errors import NotFound
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.reconcile.act_on_projects import act_on_project
from pgimport.reconcile.observe_projects import observe_project

pytestmark = pytest.mark.slow

OLD = (datetime.now(UTC) - timedelta(days=2)).isoformat()


def create_ended_import(tenant: Tenant, name: str, **status: Any) -> None:
    tenant.apply_import(name)
    ended = {"state": "completed", "completedAt": OLD, "cleanedUp": True, "observedGeneration": 1}
    path = f"{api_paths.resource(IMPORTS, NAMESPACE, name)}/status"
    tenant.cluster.patch(path, {"status": ended | status})


def set_history(tenant: Tenant, history: Any) -> None:
    tenant.cluster.patch(api_paths.resource(PROJECTS, name="shop"), {"spec": {"history": history}})


def exists(tenant: Tenant, name: str) -> bool:
    try:
        return bool(tenant.get(IMPORTS, name))
    except NotFound:
        return False


def test_a_project_with_a_history_deletes_old_imports_except_those_that_filled_a_clone(
    tenant: Tenant, name: str
) -> None:
    clone = f"{name}-clone"
    for item in (name, clone):
        create_ended_import(tenant, item)
    tenant.create(api_paths.resource(PREVIEWS, NAMESPACE), a_body(PREVIEWS, name, spec={"project": "shop"}))
    path = f"{api_paths.resource(PREVIEWS, NAMESPACE, name)}/status"
    tenant.cluster.patch(path, {"status": {"state": "ready", "cloneImport": clone}})
    operator = Operator(tenant.kubernetes)
    operator.reconcile(PROJECT)
    assert (exists(tenant, name), exists(tenant, clone)) == (True, True)
    set_history(tenant, {"ttlSeconds": 86_400})
    try:
        operator.reconcile(PROJECT)
    finally:
        set_history(tenant, None)
    assert (exists(tenant, name), exists(tenant, clone)) == (False, True)


def test_an_old_view_of_an_import_deletes_nothing(tenant: Tenant, name: str) -> None:
    """The list showed it as cleaned up. Meanwhile, another import of the name runs."""
    create_ended_import(tenant, name)
    operator = Operator(tenant.kubernetes)
    set_history(tenant, {"ttlSeconds": 86_400})
    try:
        now = datetime.now(UTC)
        observed = observe_project(operator.context, PROJECT, now)
        assert observed is not None
        tenant.cluster.delete(api_paths.resource(IMPORTS, NAMESPACE, name))
        tenant.apply_import(name)
        for action in decide_project(observed, now, operator.context.policy).actions:
            act_on_project(operator.context, observed, action)
    finally:
        set_history(tenant, None)
    assert exists(tenant, name)
