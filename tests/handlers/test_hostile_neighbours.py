"""Projects whose server or objects block the operator: they delay no other Project."""

import socket
import time
from collections.abc import Iterator
from functools import partial

import pytest
from tests.handlers.emulated_tenant import HOME, NAMESPACE, Tenant, wait_for
from tests.handlers.stepwise_operator import POLICY, build_context, key
from tests.support.kubernetes import a_body

from pgimport.kubernetes_client import api_paths
from pgimport.model.names import PREVIEWS, PROJECTS
from pgimport.model.resources import ResourceKey
from pgimport.reconcile.reconcile_loop import reconcile, report_error
from pgimport.reconcile.work_queue import WorkQueue
from pgimport.server import connection

pytestmark = pytest.mark.isolation

HOSTILE = "mall"
PREVIEW_COUNT = 20
BLOCKED_SECONDS = 10  # that a connection to the silent server takes


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Port of a server that accepts connections and never sends a byte."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield int(listener.getsockname()[1])


def create_hostile_project(tenant: Tenant, port: int) -> list[ResourceKey]:
    """Creates a Project that was ready before its server fell silent, with previews to create."""
    server = {
        "clusterID": "test",
        "host": "127.0.0.1",
        "port": port,
        "sslmode": "disable",
        "adminSecretRef": {"name": "admin"},
    }
    spec = {"organizationID": "capy", "namespace": HOSTILE, "server": server}
    tenant.create(api_paths.resource(PROJECTS), a_body(PROJECTS, HOSTILE, None, spec=spec))
    tenant.cluster.patch(f"{api_paths.resource(PROJECTS, '', HOSTILE)}/status", {"status": {"ready": True}})
    names = [f"hostile-{number}" for number in range(PREVIEW_COUNT)]
    for name in names:
        body = a_body(PREVIEWS, name, HOSTILE, spec={"project": HOSTILE})
        tenant.create(api_paths.resource(PREVIEWS, HOSTILE), body)
    return [ResourceKey(PREVIEWS, HOSTILE, name) for name in names]


@pytest.mark.thorough
def test_twenty_previews_on_a_silent_server_do_not_delay_another_tenants_preview(
    tenant: Tenant, name: str, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen before: they occupied all 8 workers, and the other preview waited for the connect timeout."""
    assert POLICY.operator_namespace == HOME
    monkeypatch.setattr(connection, "CONNECT_SECONDS", BLOCKED_SECONDS)
    context = build_context(tenant.kubernetes.connect())
    queue = WorkQueue(partial(reconcile, context), report=partial(report_error, context))
    hostile = create_hostile_project(tenant, silent_port)
    queue.start()
    try:
        for hostile_key in hostile:
            queue.add(hostile_key)
        wait_for("hostile previews at work", lambda: len(queue._busy) == 8)
        time.sleep(0.5)  # until they connect
        tenant.create(api_paths.resource(PREVIEWS, NAMESPACE), a_body(PREVIEWS, name, spec={"project": "shop"}))
        started = time.monotonic()
        queue.add(key(PREVIEWS, name))
        wait_for("the preview", lambda: tenant.status(name, PREVIEWS).get("state") == "ready")
        assert time.monotonic() - started < BLOCKED_SECONDS / 2
        assert any(busy.namespace == HOSTILE for busy in queue._busy), "the hostile previews still wait"
    finally:
        queue.stop(patience=3 * BLOCKED_SECONDS)  # else its threads keep the API server busy that is stopped next
