"""Compares the permissions of the API's service account with the API server's audit log: none is unused."""

from collections.abc import Iterator

import pytest
from tests.e2e.api_calls import Curl, forward_port, make_key
from tests.e2e.audit_log import Right, is_allowed, read_requests, read_rights, right_of
from tests.e2e.fixtures import file_lock
from tests.e2e.postgres_pods import SYSTEM_NAMESPACE, Source
from tests.e2e.tenant import READY_SECONDS, Tenant
from tests.support import kubectl

pytestmark = pytest.mark.cluster

ACCOUNT = f"system:serviceaccount:{SYSTEM_NAMESPACE}:pgimport-api"
ROLES = (
    ("clusterrole", "pgimport-api", None),
    ("clusterrole", "pgimport-api-tenant", None),
    ("role", "pgimport-api", SYSTEM_NAMESPACE),
)


@pytest.fixture(scope="module")
def curl(tenant: Tenant) -> Iterator[Curl]:
    # Not beside test_api.py, which changes the number of replicas: that cuts forwarded ports.
    with file_lock("api-replicas"), forward_port() as port:
        yield Curl(port, make_key("--organization", "e2e", "--name", "rights"))


def read_report(curl: Curl, project: str, url: str) -> None:
    """Reads the report of a dry run that has ended."""
    _, answer = curl.call("POST", f"{project}/imports", {"source_url": url, "dry_run": True})
    job = f"/jobs/{answer['job']['id']}"
    kubectl.wait_until(
        lambda: curl.call("GET", job)[1]["job"]["state"] == "completed" or None, "the dry run has ended", READY_SECONDS
    )
    status, answer = curl.call("GET", f"{job}/report")
    assert (status, answer["report"]["complete"]) == (200, True), answer


def walk(curl: Curl, source: Source, tenant: Tenant) -> None:
    """Calls every route once, with success."""
    project = f"/projects/{tenant.name}"
    created = curl.call("POST", f"{project}/preview-databases", {"ttl_hours": 1})
    assert created[0] == 201, created
    preview = f"/preview-databases/{created[1]['preview']['id']}"
    kubectl.wait_until(
        lambda: curl.call("GET", preview)[1]["preview"]["state"] == "ready" or None, "it is ready", READY_SECONDS
    )
    url = source.url("small")
    read_report(curl, project, url)
    request = {"source_url": url, "dry_run": True}
    status, answer = curl.call("POST", f"{project}/imports", request, "--header", "Idempotency-Key: rights")
    assert status == 202, answer
    job = f"/jobs/{answer['job']['id']}"
    for method, path, body, expected in (
        ("POST", f"{project}/imports", request, 202),  # again, with the same key
        ("GET", f"{project}/jobs", None, 200),
        ("GET", job, None, 200),
        ("POST", f"{job}/cancel", None, 202),
        ("POST", f"{project}/imports/uploads", None, 201),
        ("POST", f"{project}/imports/preflight", {"source_url": url}, 200),
        ("GET", f"{project}/preview-databases", None, 200),
        ("GET", f"{preview}/connections", None, 200),
        ("POST", f"{preview}/extend", {"ttl_hours": 2}, 200),
        ("POST", f"{preview}/reset", None, 202),
        ("DELETE", preview, None, 202),
    ):
        options = ("--header", "Idempotency-Key: rights") if path.endswith("/imports") else ()
        status, answer = curl.call(method, path, body, *options)
        assert status == expected or (path.endswith(("extend", "reset")) and status in (200, 202)), (path, answer)


def test_what_is_granted_is_used_and_nothing_else_was_tried(curl: Curl, source: Source, tenant: Tenant) -> None:
    walk(curl, source, tenant)
    used: set[Right] = set()
    for event in read_requests(ACCOUNT):
        verb, reference = event["verb"], event["objectRef"]
        assert "subresource" not in reference, event
        if is_allowed(event):
            used.add(right_of(event))
        if reference["resource"] == "secrets" and verb != "create":
            assert verb == "get", event
            assert reference["name"] == "pgimport-api-keys" or reference["name"].endswith("-connection"), event
    assert used == read_rights(*ROLES)
