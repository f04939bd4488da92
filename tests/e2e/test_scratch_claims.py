"""The PersistentVolumeClaim of scratch is deleted with its import."""

import pytest
from tests.e2e.tenant import READY_SECONDS, Tenant
from tests.support import kubectl

pytestmark = [pytest.mark.cluster, pytest.mark.isolation]


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
