"""Runs the operator's program over an emulated API, and brings an import to its end."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.handlers.emulated_tenant import HOME, PASSED, WAITING, Tenant, ended, running
from tests.support.kubernetes import Json, Kubernetes
from tests.support.samples import a_result

from pgimport.handlers.main import run
from pgimport.kubernetes_client.resource_cache import ResourceCache
from pgimport.metrics.operator_metrics import OperatorMetrics
from pgimport.reconcile.delivery_queue import DeliveryQueue
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.settings import read_settings


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def write_kubeconfig(url: str, folder: Path) -> Path:
    path = folder / "config"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": {"token": "anything"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    path.write_text(json.dumps(config))
    return path


@contextmanager
def run_operator(kubernetes: Kubernetes, deliveries: DeliveryQueue | None = None) -> Iterator[int]:
    """Runs the operator's own program in a thread for the duration of a block. Yields the port of its metrics.

    `deliveries`: its queue of webhook deliveries.
    """
    metrics_port = free_port()
    settings = read_settings(
        {
            "PGIMPORT_NAMESPACE": HOME,
            "PGIMPORT_WORKER_IMAGES": '{"16": "registry/worker:16"}',
            "PGIMPORT_HEALTH_PORT": str(free_port()),
            "PGIMPORT_METRICS_PORT": str(metrics_port),
            "PGIMPORT_SWEEP_SECONDS": "1",
        }
    )
    metrics = OperatorMetrics()
    cluster = kubernetes.connect(on_request=metrics.queue.record_request)
    cache = ResourceCache(cluster)
    context = ReconcileContext(
        cluster=cluster,
        lists=cache,
        policy=settings.to_policy(),
        metrics=metrics,
        deliveries=deliveries or DeliveryQueue(),
    )
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(context, cache, settings, stop), name="operator", daemon=True)
    thread.start()
    try:
        yield metrics_port
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def complete(tenant: Tenant, name: str) -> tuple[str, Json]:
    """Brings an import from its Job to `completed`. Returns its pod and its last status."""
    job = tenant.job(name)
    pod = tenant.show_pod(job, running(), WAITING, "Pending")
    tenant.change_pod(pod, ended(PASSED, 0), running(), "Running")
    tenant.fill(job, pod, "CREATE TABLE cats (id int PRIMARY KEY, name text)", "INSERT INTO cats VALUES (1, 'Ada')")
    tenant.change_pod(pod, ended(PASSED, 0), ended(a_result(), 0), "Succeeded")
    tenant.end_job(job, {"type": "Complete", "status": "True"})
    return pod, tenant.wait_for_state(name, "completed")
