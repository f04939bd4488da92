"""Runs the operator: kopf, the cache with its watches, the work queue and the sweep, in one process."""

import asyncio
import os
import sys
import threading
import time
from functools import partial

import kopf

from pgimport.handlers.event_handlers import EventTargets, enqueue, enqueue_removed, register
from pgimport.handlers.observed_versions import ObservedVersions
from pgimport.handlers.sweep import run_sweeps
from pgimport.kubernetes_client.api_client import connect_kubernetes
from pgimport.kubernetes_client.resource_cache import ResourceCache
from pgimport.log import start_logging
from pgimport.metrics.exposition import Exposition
from pgimport.metrics.metrics_server import PortTaken, serve_metrics
from pgimport.metrics.operator_metrics import OperatorMetrics
from pgimport.model.errors import KubernetesNotConfigured
from pgimport.model.watch_scope import WatchScope
from pgimport.reconcile.reconcile_context import OperatorIdentity, ReconcileContext
from pgimport.reconcile.reconcile_loop import reconcile, report_error
from pgimport.reconcile.webhook_deliveries import start_deliveries
from pgimport.reconcile.work_queue import WorkQueue
from pgimport.settings import Settings, SettingsError, open_uploads, read_settings

LIST_SECONDS = 60.0  # until an operator that cannot list its objects is no longer alive


def main(arguments: list[str]) -> int:
    """Runs the operator with the settings of the environment. It takes no arguments."""
    try:
        settings = read_settings(os.environ)
        store = open_uploads(settings, os.environ)
        metrics = OperatorMetrics()
        kubernetes = connect_kubernetes(metrics.queue.record_request)
    except (SettingsError, KubernetesNotConfigured) as error:
        print(error, file=sys.stderr)
        return 78  # EX_CONFIG
    start_logging(settings.log_level)
    cache = ResourceCache(kubernetes)
    context = ReconcileContext(
        cluster=kubernetes,
        lists=cache,
        policy=settings.to_policy(),
        store=store,
        metrics=metrics,
        identity=OperatorIdentity(
            service_account=settings.service_account,
            tenant_cluster_role=settings.tenant_cluster_role,
            api_service_account=settings.api_service_account,
            api_cluster_role=settings.api_cluster_role,
        ),
    )
    try:
        run(context, cache, settings)
    except PortTaken as error:
        print(f"PGIMPORT_METRICS_PORT: {error}", file=sys.stderr)
        return 78
    return 0


def run(
    context: ReconcileContext, cache: ResourceCache, settings: Settings, stop_flag: threading.Event | None = None
) -> None:
    """Runs until a signal or `stop_flag`, and then waits for reconciles that are running."""
    queue = WorkQueue(
        partial(reconcile, context),
        workers=settings.workers,
        report=partial(report_error, context),
        metrics=context.metrics.queue,
    )
    versions, stop = ObservedVersions(cache.find_version), threading.Event()
    registry = kopf.OperatorRegistry()
    scope = WatchScope(settings.watch_namespaces)
    targets = EventTargets(queue=queue, versions=versions, pod_history=context.pod_history, scope=scope)
    register(registry, targets)
    context.metrics.add_state(cache, scope, lambda: versions.stalled)

    def work() -> None:
        if _wait_until_listed(cache, versions, stop):
            start_deliveries(context, queue.add)
            queue.start()
            run_sweeps(context.cluster, queue, versions, scope, settings.sweep_seconds, stop)

    # Metrics are served before the first answer of /healthz: a pod that is ready can be scraped.
    with serve_metrics(settings.metrics_port, Exposition(context.metrics.registry)):
        cache.start(partial(enqueue, targets), partial(enqueue_removed, targets))
        threading.Thread(target=work, name="sweep", daemon=True).start()
        try:
            asyncio.run(
                kopf.operator(
                    registry=registry,
                    clusterwide=True,
                    standalone=True,
                    liveness_endpoint=f"http://{settings.health_host}:{settings.health_port}/healthz",
                    stop_flag=stop_flag,
                )
            )
        finally:
            stop.set()
            cache.stop()
            context.deliveries.stop()
            queue.stop()


def _wait_until_listed(cache: ResourceCache, versions: ObservedVersions, stop: threading.Event) -> bool:
    """Waits until the cache has all objects: before, a decision would not know the other imports of its namespace.

    After a minute, the liveness probe fails, so that an operator that does nothing does not look healthy.
    """
    deadline = time.monotonic() + LIST_SECONDS
    while not stop.is_set():
        if cache.wait_for(lambda: cache.listed, 1.0):
            versions.stalled = None
            return True
        if time.monotonic() > deadline:
            versions.stalled = "the operator cannot list its objects; its log says why"
    return False
