"""Compares the permissions of the operator's service account with the API server's audit log: none is unused."""

import pytest
from tests.e2e.audit_log import Right, is_allowed, read_requests, read_rights, right_of
from tests.e2e.postgres_pods import SYSTEM_NAMESPACE
from tests.e2e.tenant import IMPORTS, READY_SECONDS, SCHEDULES, Tenant, reason_of
from tests.support import kubectl

pytestmark = pytest.mark.cluster

ACCOUNT = f"system:serviceaccount:{SYSTEM_NAMESPACE}:pgimport-operator"
ROLES = (
    ("clusterrole", "pgimport-operator", None),
    ("clusterrole", "pgimport-tenant", None),
    ("role", "pgimport-operator", SYSTEM_NAMESPACE),
    ("role", "pgimport-operator", "default"),
)
# Used only in the situations that the comments name. Other tests may cause them.
RARELY_USED: set[Right] = {
    ("bind", "clusterroles"),  # checked when a RoleBinding is created, and no request
    ("delete", "rolebindings"),  # an upgrade changes a role, or disables the API
    ("patch", "rolebindings"),  # a Project was restored
    ("get", "roles"),  # the API is installed, or an upgrade has disabled it
    ("create", "roles"),  # the API is installed
    ("patch", "roles"),
    ("delete", "roles"),  # an upgrade disables the API
    ("get", "networkpolicies"),
    ("patch", "networkpolicies"),  # the API server has got another address
    ("delete", "networkpolicies"),  # the chart's value networkPolicy.create is false
    ("patch", "secrets"),  # a connection Secret has lost an entry
    ("create", "postgresimports"),  # a preview has mode clone, or a schedule is due
    ("patch", "postgresimports"),  # a schedule replaces its import
    ("delete", "postgresimports"),  # a preflight of the API has ended
    ("get", "configmaps"),  # an import has postImport
    ("patch", "configmaps"),  # a report is written again
    ("delete", "configmaps"),  # the report of a later attempt has fewer parts
    ("list", "events"),  # a pod does not start for 15 s
    ("list", "workloads"),  # a queue of Kueue holds an import
    ("delete", "persistentvolumeclaims"),  # a scratch volume has a storage class
}


def use_rights(tenant: Tenant) -> None:
    """Completes one import, suspends and cancels another one, and deletes both with their previews. Adds a schedule."""
    names = ("rights", "rights-suspended")
    kubectl.create(tenant.schedule_manifest("rights", "small", "rights", suspend=True))
    tenant.wait(SCHEDULES, ("rights",), lambda body: reason_of(body) == "Suspended", "is suspended", READY_SECONDS)
    kubectl.delete(SCHEDULES, "rights", namespace=tenant.name)
    tenant.make_previews(*names)
    tenant.start("rights", "small", "rights")
    tenant.wait_for_end("rights", "completed")
    tenant.start("rights-suspended", "slow", "rights-suspended")
    tenant.wait_until_copying("rights-suspended")
    tenant.change("rights-suspended", suspend=True)
    tenant.wait(IMPORTS, ("rights-suspended",), lambda body: reason_of(body) == "Suspended", "waits", READY_SECONDS)
    tenant.change("rights-suspended", cancel=True)
    tenant.wait_for_end("rights-suspended", "cancelled")
    tenant.delete(*names)
    kubectl.delete("previewdatabases.capydb.dev", *names, namespace=tenant.name)


def test_kubernetes_denied_no_request_and_no_right_is_unused(tenant: Tenant) -> None:
    """The audit log has every request since the cluster was started."""
    use_rights(tenant)
    used: set[Right] = set()
    denied: set[Right] = set()
    for event in read_requests(ACCOUNT):
        (used if is_allowed(event) else denied).add(right_of(event))
    assert denied == set()
    granted = read_rights(*ROLES)
    assert used <= granted
    assert granted - used - RARELY_USED == set()


def test_the_list_of_rarely_used_rights_names_only_granted_ones(cluster: None) -> None:
    assert RARELY_USED - read_rights(*ROLES) == set()
