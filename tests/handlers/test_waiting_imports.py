"""Imports that cannot run yet, on an emulated Kubernetes API: what they say, how long they wait, whom they block."""

import time
from datetime import timedelta
from typing import Any

import pytest
from tests.handlers.emulated_tenant import NAMESPACE, Tenant
from tests.handlers.stepwise_operator import EmptyLists, Operator, create_ready_preview, key
from tests.support.kubernetes import a_body

from pgimport.kubernetes_client import api_paths
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.reconcile.reconcile_loop import reconcile

pytestmark = pytest.mark.slow


def create_import(tenant: Tenant, name: str, target: str, secret: str, created_at: str) -> None:
    spec = {
        "project": "shop",
        "source": {"urlSecretRef": {"name": secret, "key": "url"}},
        "target": {"previewDatabase": target},
    }
    body = a_body(IMPORTS, name, spec=spec)
    body["metadata"]["creationTimestamp"] = created_at
    tenant.create(api_paths.resource(IMPORTS, NAMESPACE), body)


def shown(tenant: Tenant, name: str) -> tuple[str, str]:
    status = tenant.status(name)
    return status["state"], status["conditions"][0]["reason"]


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        pytest.param(
            {"source": {"urlSecretRef": {"name": "source", "key": "ulr"}}},
            "SourceSecretMissing",
            "The import waits for Secret source with the key ulr. The Secret has 1 key, but not this one.",
            id="the URL",
        ),
        pytest.param(
            {
                "source": {
                    "urlSecretRef": {"name": "source", "key": "url"},
                    "caSecretRef": {"name": "no-ca", "key": "ca.crt"},
                }
            },
            "SourceSecretMissing",
            "The import waits for Secret no-ca with the key ca.crt. The Secret does not exist.",
            id="the CA",
        ),
        pytest.param(
            {"postImport": {"sqlConfigMapRef": {"name": "no-sql", "key": "mask.sql"}}},
            "ConfigMapMissing",
            "The import waits for ConfigMap no-sql with the key mask.sql. The ConfigMap does not exist.",
            id="the SQL",
        ),
    ],
)
def test_an_import_names_what_its_pod_could_not_mount(
    tenant: Tenant, name: str, spec: dict[str, Any], reason: str, message: str
) -> None:
    tenant.apply(name, **spec)
    Operator(tenant.kubernetes).reconcile(key(IMPORTS, name))
    condition = tenant.status(name)["conditions"][0]
    assert (condition["reason"], condition["message"]) == (reason, message)


@pytest.mark.isolation
def test_a_look_at_a_waiting_import_reads_each_object_once_and_lists_nothing(tenant: Tenant, name: str) -> None:
    """Seen before: each look listed the namespace twice, and 300 waiting imports delayed another one by 200 s."""
    tenant.apply(name, source={"urlSecretRef": {"name": "no-source", "key": "url"}})
    operator = Operator(tenant.kubernetes, EmptyLists())
    operator.reconcile(key(PREVIEWS, name), key(IMPORTS, name))
    assert shown(tenant, name) == ("pending", "SourceSecretMissing")
    before = len(tenant.kubernetes.requests("GET"))
    operator.reconcile(key(IMPORTS, name))
    reads = [request.url.path for request in tenant.kubernetes.requests("GET")[before:]]
    assert reads == [
        api_paths.resource(IMPORTS, NAMESPACE, name),
        api_paths.resource(PROJECTS, name="shop"),
        api_paths.resource(PREVIEWS, NAMESPACE, name),
        api_paths.core(NAMESPACE, "secrets", "no-source"),
    ]


def test_an_import_with_a_typo_does_not_block_its_correction(tenant: Tenant, name: str) -> None:
    create_ready_preview(tenant, name)
    typo, corrected = f"{name}-typo", f"{name}-corrected"
    create_import(tenant, typo, name, f"{name}-sorce", "2026-01-01T12:00:00Z")
    operator = Operator(tenant.kubernetes)
    operator.reconcile(key(IMPORTS, typo))
    create_import(tenant, corrected, name, "source", "2026-01-01T12:01:00Z")
    operator.reconcile(key(IMPORTS, corrected), key(IMPORTS, typo))
    assert shown(tenant, typo) == ("pending", "SourceSecretMissing")
    assert shown(tenant, corrected)[0] == "running"
    assert tenant.status(name, PREVIEWS)["activeImportName"] == corrected


def test_a_claim_from_before_a_crash_does_not_block_another_import(tenant: Tenant, name: str) -> None:
    """The operator writes the claim before the state. A crash in between leaves a pending import with a claim."""
    create_ready_preview(tenant, name)
    crashed, other = f"{name}-crashed", f"{name}-other"
    create_import(tenant, crashed, name, f"{name}-gone", "2026-01-01T12:00:00Z")
    claim = {"activeImport": tenant.get(IMPORTS, crashed)["metadata"]["uid"], "activeImportName": crashed}
    tenant.cluster.patch(api_paths.resource(PREVIEWS, NAMESPACE, f"{name}/status"), {"status": claim})
    create_import(tenant, other, name, "source", "2026-01-01T12:01:00Z")
    operator = Operator(tenant.kubernetes)
    operator.reconcile(key(IMPORTS, other))
    assert shown(tenant, other) == ("pending", "WaitingForTarget")
    operator.reconcile(key(IMPORTS, crashed), key(IMPORTS, other))
    assert shown(tenant, crashed) == ("pending", "SourceSecretMissing")
    assert shown(tenant, other)[0] == "running"
    assert tenant.status(name, PREVIEWS)["activeImportName"] == other


def test_an_import_that_waits_too_long_fails_on_time_and_leaves_nothing(tenant: Tenant, name: str) -> None:
    source = {"urlSecretRef": {"name": "no-source", "key": "url"}}
    tenant.apply(name, source=source, pendingTimeout="1s")
    operator = Operator(tenant.kubernetes)
    operator.reconcile(key(PREVIEWS, name))
    delay = reconcile(operator.context, key(IMPORTS, name)).requeue_after
    assert shown(tenant, name) == ("pending", "SourceSecretMissing")
    assert delay is not None
    assert delay <= timedelta(seconds=1)
    time.sleep(delay.total_seconds())
    operator.reconcile(key(IMPORTS, name))
    status = tenant.status(name)
    assert (*shown(tenant, name), status["cleanedUp"]) == ("failed", "PendingTimeout", True)
    assert status["error"].startswith(
        "the import did not start within spec.pendingTimeout (1s): the import waits for Secret no-source with the key"
        " url. The Secret does not exist (hint: "
    )
    assert tenant.jobs(tenant.get(IMPORTS, name)["metadata"]["uid"]) == []
    assert "activeImport" not in tenant.status(name, PREVIEWS)
