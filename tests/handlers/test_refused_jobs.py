"""A Job or pod that Kubernetes refuses: the status shows the refusal in the words of quota, policy or webhook."""

from datetime import timedelta

import pytest
from tests.handlers.emulated_tenant import NAMESPACE, Tenant
from tests.handlers.stepwise_operator import Operator, create_ready_preview, key, start_import
from tests.support.kubernetes import Json

from pgimport.kubernetes_client import api_paths
from pgimport.model.names import IMPORTS
from pgimport.reconcile import observe_imports

QUOTA = 'jobs.batch "pgi-x" is forbidden: exceeded quota: small, requested: count/jobs.batch=1, used: 0, limited: 0'
WEBHOOK = 'admission webhook "validate.kyverno.svc" denied the request: label cost-center is required'
POLICY = "jobs.batch \"pgi-x\" is forbidden: ValidatingAdmissionPolicy 'teams' denied request: ask the platform team"


def ready_of(status: Json) -> Json:
    return next(item for item in status["conditions"] if item["type"] == "Ready")


@pytest.mark.parametrize("part", ["/jobs", "/secrets"], ids=["the Job", "its Secret"])
def test_an_import_waits_for_a_quota_and_shows_it_at_once(tenant: Tenant, name: str, part: str) -> None:
    """Before, the status showed nothing until the fifth attempt, and then RepeatedError."""
    create_ready_preview(tenant, name)
    tenant.apply_import(name)
    tenant.kubernetes.refuse("POST", part, 403, message=QUOTA)
    operator = Operator(tenant.kubernetes)
    operator.reconcile(key(IMPORTS, name))
    status = tenant.status(name)
    assert (status["state"], ready_of(status)["reason"]) == ("running", "JobRefused")
    assert QUOTA in ready_of(status)["message"]
    operator.reconcile(key(IMPORTS, name))
    assert ready_of(tenant.status(name))["reason"] == "Running"
    assert tenant.job(name)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        pytest.param(403, WEBHOOK, id="a webhook"),
        pytest.param(400, WEBHOOK, id="a webhook with another code"),
        pytest.param(409, WEBHOOK, id="a webhook whose code says that the Job exists"),
        pytest.param(404, WEBHOOK, id="a webhook whose code says that it does not"),
        pytest.param(413, POLICY, id="a policy that calls the Job too large"),
        pytest.param(422, POLICY, id="a policy"),
        pytest.param(403, POLICY, id="a policy with another code"),
    ],
)
def test_an_import_that_a_policy_denies_fails_with_the_words_of_the_policy(
    tenant: Tenant, name: str, code: int, text: str
) -> None:
    create_ready_preview(tenant, name)
    tenant.apply_import(name)
    tenant.kubernetes.refuse("POST", "/jobs", code, message=text)
    Operator(tenant.kubernetes).reconcile(key(IMPORTS, name))
    status = tenant.status(name)
    assert (status["state"], status["retryClassification"]) == ("failed", "permanent")
    assert text in ready_of(status)["message"]
    assert "Ask the platform's admin" in status["error"]


def warn(tenant: Tenant, reason: str, message: str, about: str) -> None:
    event = {
        "metadata": {"name": f"{about}-{reason.lower()}"},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "involvedObject": {"name": about},
        "lastTimestamp": "2026-01-01T12:00:01Z",
    }
    tenant.create(api_paths.core(NAMESPACE, "events"), event)


def test_a_pod_that_is_refused_is_shown_while_the_import_waits_for_it(
    tenant: Tenant, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, the status said only that the import runs, until startTimeout ended it."""
    monkeypatch.setattr(observe_imports, "WARNING_DELAY", timedelta(0))
    operator, job = start_import(tenant, name)
    refusal = 'Error creating: pods "pgi-x-1" is forbidden: maximum memory usage per Container is 16Mi'
    warn(tenant, "FailedCreate", refusal, about=job["metadata"]["name"])
    operator.reconcile(key(IMPORTS, name))
    status = tenant.status(name)
    assert (status["state"], ready_of(status)["reason"]) == ("running", "Starting")
    assert refusal in ready_of(status)["message"]


def test_a_pod_without_a_node_is_shown_without_an_event(
    tenant: Tenant, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scheduling gate causes no event. An event says more than the condition, such as that a quota refuses a volume.

    The condition is not shown at once: while a volume is created, each pod has it for a moment.
    """
    operator, job = start_import(tenant, name)
    pod = tenant.show_pod(job, {}, {}, "Pending")
    gated = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "it has gates"}
    path = api_paths.core(NAMESPACE, "pods", pod)
    tenant.cluster.patch(path, [{"op": "add", "path": "/status/conditions", "value": [gated]}])

    def read_message() -> str:
        operator.reconcile(key(IMPORTS, name))
        return str(ready_of(tenant.status(name))["message"])

    assert read_message() == "The import's Job is running."
    monkeypatch.setattr(observe_imports, "WARNING_DELAY", timedelta(0))
    assert read_message() == "No container of the import starts: SchedulingGated: it has gates"
    warn(tenant, "FailedBinding", "exceeded quota", about=pod)
    assert read_message() == "No container of the import starts: FailedBinding: exceeded quota"
