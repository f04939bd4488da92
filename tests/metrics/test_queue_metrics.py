"""The metrics of the work queue and of requests have the names of controller-runtime and client-go."""

import threading
from datetime import timedelta

from prometheus_client import CollectorRegistry

from pgimport.metrics.queue_metrics import QueueMetrics
from pgimport.model.errors import Conflict
from pgimport.model.names import IMPORTS, PREVIEWS
from pgimport.model.resources import ResourceKey
from pgimport.reconcile.work_queue import ReconcileResult, WorkQueue

PATIENCE = 30.0
RESULTS: dict[str, ReconcileResult | Exception] = {
    "good": ReconcileResult(),
    "later": ReconcileResult(requeue_after=timedelta(hours=1)),
    "conflict": Conflict("changed"),
    "error": ValueError("unexpected"),
}
CONTROLLER = {"controller": "postgresimport"}
QUEUE = {"name": "postgresimport", **CONTROLLER}


def read(metrics: QueueMetrics, name: str, labels: dict[str, str]) -> float | None:
    """Returns a value that is known only at the time of a scrape."""
    samples = [sample for family in metrics.collect() for sample in family.samples]
    return next((sample.value for sample in samples if (sample.name, sample.labels) == (name, labels)), None)


def test_each_reconcile_counts_once_by_its_result() -> None:
    registry, done = CollectorRegistry(), {name: threading.Event() for name in RESULTS}

    def work(key: ResourceKey) -> ReconcileResult:
        if done[key.name].is_set():
            return ReconcileResult()
        result = RESULTS[key.name]
        done[key.name].set()
        if isinstance(result, Exception):
            raise result
        return result

    queue = WorkQueue(work, metrics=QueueMetrics(registry))
    queue.start()
    for name in RESULTS:
        queue.add(ResourceKey(IMPORTS, "shop", name))
        assert done[name].wait(PATIENCE)
    queue.stop()

    def value(name: str, /, **labels: str) -> float:
        return registry.get_sample_value(name, labels) or 0.0

    for result, least in (("success", 1), ("requeue_after", 1), ("requeue", 1), ("error", 1)):
        assert value("controller_runtime_reconcile_total", result=result, **CONTROLLER) >= least
    assert value("controller_runtime_reconcile_errors_total", **CONTROLLER) == 1, "a conflict is no error"
    assert value("workqueue_retries_total", **QUEUE) == 2
    assert value("workqueue_adds_total", **QUEUE) >= len(RESULTS)
    ended = value("controller_runtime_reconcile_time_seconds_count", **CONTROLLER)
    assert ended == value("workqueue_work_duration_seconds_count", **QUEUE)
    assert ended == value("workqueue_queue_duration_seconds_count", **QUEUE)


def test_depth_counts_keys_that_are_due_and_wait_for_a_worker() -> None:
    metrics, begun, release = QueueMetrics(CollectorRegistry()), threading.Event(), threading.Event()

    def work(_: ResourceKey) -> ReconcileResult:
        begun.set()
        release.wait(PATIENCE)
        return ReconcileResult()

    queue = WorkQueue(work, workers=1, metrics=metrics)
    queue.start()
    queue.add(ResourceKey(IMPORTS, "shop", "busy"))
    assert begun.wait(PATIENCE)
    for name in ("one", "two"):
        queue.add(ResourceKey(IMPORTS, "shop", name))
    queue.add(ResourceKey(PREVIEWS, "shop", "in an hour"), after=3600)
    assert read(metrics, "workqueue_depth", QUEUE) == 2
    assert read(metrics, "workqueue_depth", {"name": "previewdatabase", "controller": "previewdatabase"}) == 0
    assert read(metrics, "controller_runtime_active_workers", CONTROLLER) == 1
    assert (read(metrics, "workqueue_longest_running_processor_seconds", QUEUE) or 0) > 0
    release.set()
    queue.stop()


def test_requests_count_by_verb_and_code() -> None:
    registry = CollectorRegistry()
    metrics = QueueMetrics(registry)
    metrics.record_request("GET", "200", 0.1)
    metrics.record_request("GET", "", 30.0)
    assert registry.get_sample_value("rest_client_requests_total", {"method": "GET", "code": "200"}) == 1
    assert registry.get_sample_value("rest_client_requests_total", {"method": "GET", "code": "<error>"}) == 1
