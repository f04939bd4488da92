"""The PersistentVolumeClaim of scratch is deleted with its import, and the operator has the rights that it uses."""

import json

import pytest
from tests.e2e.postgres_pods import SYSTEM_NAMESPACE
from tests.e2e.tenant import READY_SECONDS, Tenant
from tests.support import kubectl

pytestmark = [pytest.mark.cluster, pytest.mark.isolation]
OPERATOR = f"system:serviceaccount:{SYSTEM_NAMESPACE}:pgimport-operator"


def list_claims(tenant: Tenant) -> list[str]:
    claims = kubectl.list_objects("persistentvolumeclaims", tenant.name)
    return [name for claim in claims if "scratch-claim" in (name := claim["metadata"]["name"])]


def test_the_claim_of_a_cancelled_import_is_deleted(tenant: Tenant) -> None:
    """No node offers the storage class, so the pod stays pending."""
    tenant.make_previews("scratch-claim")
    scratch = {"size": "1Gi", "storageClassName": "no-such-class"}
    tenant.start("scratch-claim", "small", "scratch-claim", scratch=scratch)
    kubectl.wait_until(lambda: list_claims(tenant) or None, "the claim exists", READY_SECONDS)
    tenant.change("scratch-claim", cancel=True)
    body = tenant.wait_for_end("scratch-claim", "cancelled")
    tenant.assert_nothing_left(body)
    kubectl.wait_until(lambda: list_claims(tenant) == [] or None, "the claim is gone", READY_SECONDS)


def test_kubernetes_denied_no_request_of_the_operator() -> None:
    """The audit log has every request since the cluster was started, those of reports and claims among them."""
    paths = sorted((kubectl.cluster_folder() / "logs").glob("audit*.log"))
    if not paths:
        pytest.skip("only the API server of CLUSTER=bare writes an audit log here")
    denied: set[tuple[str, str]] = set()
    for path in paths:
        with path.open() as lines:
            for line in lines:
                event = json.loads(line)
                annotations, reference = event.get("annotations", {}), event.get("objectRef", {})
                if (
                    event["user"]["username"] == OPERATOR
                    and annotations.get("authorization.k8s.io/decision") == "forbid"
                ):
                    denied.add((event["verb"], reference.get("resource", "")))
    assert denied == set()
