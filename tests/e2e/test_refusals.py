"""Quotas, limits and policies of a tenant's namespace: the status shows the refusal in their own words.

The namespaces of all tests enforce the Pod Security Standard `restricted`, so every completed import shows that its
pods meet it.
"""

from collections.abc import Iterator

import pytest
from tests.e2e.fixtures import name_for_worker
from tests.e2e.postgres_pods import Source
from tests.e2e.tenant import IMPORTS, READY_SECONDS, Tenant, condition_of, make_tenant, reason_of, remove_tenant
from tests.support import kubectl
from tests.support.kubectl import Manifest

pytestmark = pytest.mark.cluster

NAME = name_for_worker("e2e-refusals")
TEXT = "the platform team allows no imports here"


@pytest.fixture(scope="module")
def strict(cluster: None, source: Source) -> Iterator[Tenant]:
    remove_tenant(NAME)
    kubectl.delete("namespace", NAME)
    tenant = make_tenant(NAME, source)
    tenant.make_secrets({"small": source.url("small")})
    yield tenant
    remove_tenant(NAME)


def a_limit(kind: str, spec: Manifest) -> Manifest:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "strict", "namespace": NAME}, "spec": spec}


def start(tenant: Tenant, name: str, **spec: object) -> None:
    tenant.make_previews(name)
    tenant.start(name, "small", name, **spec)


def wait_for_message(tenant: Tenant, name: str, text: str) -> Manifest:
    def shows(body: Manifest) -> bool:
        return text in condition_of(body).get("message", "")

    return tenant.wait(IMPORTS, (name,), shows, f"shows `{text}`", READY_SECONDS)[name]


def wait_for_quota(resource: str) -> None:
    """Waits until the quota is in force: its controller first computes what is used."""
    kubectl.wait_until(
        lambda: resource in kubectl.get("resourcequotas", "strict", NAME).get("status", {}).get("hard", {}) or None,
        "the quota is in force",
        READY_SECONDS,
    )


def test_a_quota_for_jobs_delays_an_import(strict: Tenant) -> None:
    kubectl.create(a_limit("ResourceQuota", {"hard": {"count/jobs.batch": "0"}}))
    try:
        wait_for_quota("count/jobs.batch")
        start(strict, "no-job")
        body = wait_for_message(strict, "no-job", "exceeded quota: strict")
        assert reason_of(body) == "JobRefused"
    finally:
        kubectl.delete("resourcequotas", "strict", namespace=NAME)
    strict.wait_for_end("no-job", "completed")


@pytest.mark.parametrize(
    ("name", "limit", "text"),
    [
        pytest.param(
            "no-memory",
            a_limit("ResourceQuota", {"hard": {"requests.memory": "16Mi"}}),
            "exceeded quota: strict",
            id="a quota for memory",
        ),
        pytest.param(
            "too-large",
            a_limit("LimitRange", {"limits": [{"type": "Container", "max": {"memory": "16Mi"}}]}),
            "maximum memory usage per Container is 16Mi",
            id="a limit range",
        ),
    ],
)
def test_a_pod_that_is_refused_is_shown_before_and_after_the_timeout(
    strict: Tenant, name: str, limit: Manifest, text: str
) -> None:
    plural = f"{limit['kind'].lower()}s"
    kubectl.create(limit)
    try:
        if plural == "resourcequotas":
            wait_for_quota("requests.memory")
        start(strict, name, startTimeout="40s")
        body = wait_for_message(strict, name, text)
        assert reason_of(body) == "Starting"
        failed = strict.wait_for_end(name, "failed")
        assert reason_of(failed) == "StartTimeout"
        assert text in failed["status"]["error"]
    finally:
        kubectl.delete(plural, "strict", namespace=NAME)


def policy_manifests() -> list[Manifest]:
    group = "admissionregistration.k8s.io"
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
    policy = {
        "apiVersion": f"{group}/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": NAME},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "!object.metadata.name.contains('denied')", "message": TEXT}],
        },
    }
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": NAME},
        "spec": {
            "policyName": NAME,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAME}}},
        },
    }
    return [policy, binding]


def denies(name: str) -> bool:
    """Tells whether the API server already evaluates the policy."""
    container = {"name": "a", "image": "a"}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": NAME},
        "spec": {"suspend": True, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }
    try:
        kubectl.create(job)
    except kubectl.KubectlError as error:
        return TEXT in str(error)
    kubectl.delete("jobs", name, namespace=NAME)
    return False


def test_an_admission_policy_fails_an_import_with_its_own_words(strict: Tenant) -> None:
    kubectl.create(*policy_manifests())
    try:
        kubectl.wait_until(lambda: denies("denied-probe") or None, "the policy is in force", READY_SECONDS)
        start(strict, "denied")
        body = strict.wait_for_end("denied", "failed")
        assert reason_of(body) == "InvalidSpec"
        assert TEXT in body["status"]["error"]
        start(strict, "allowed")
        strict.wait_for_end("allowed", "completed")
    finally:
        kubectl.delete("validatingadmissionpolicybindings", NAME)
        kubectl.delete("validatingadmissionpolicies", NAME)
