"""Metrics of the work queue, of reconciles and of requests to the Kubernetes API.

The names and labels are those of controller-runtime and client-go, so that dashboards for their controllers work.
"""

import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS, SCHEDULES
from pgimport.model.resources import ResourceKey

CONTROLLERS = {
    IMPORTS: "postgresimport",
    PREVIEWS: "previewdatabase",
    PROJECTS: "project",
    SCHEDULES: "postgresimportschedule",
}
_REQUEST_BUCKETS = (0.005, 0.025, 0.1, 0.25, 1, 4, 15, 60)
_QUEUE_BUCKETS = (0.001, 0.01, 0.1, 1, 5, 10, 60, 300)
_WORK_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60)
NO_RESPONSE = "<error>"  # the code of a request that got no response, as in client-go


class Outcome(StrEnum):
    """Results of a reconcile, as controller-runtime names them."""

    SUCCESS = "success"
    REQUEUE_AFTER = "requeue_after"
    REQUEUE = "requeue"  # a conflict: the object is reconciled again at once
    ERROR = "error"


class QueueMetrics:
    """Counts what the work queue and the Kubernetes client report; safe to share between threads."""

    def __init__(self, registry: CollectorRegistry | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Builds the metrics; without a registry, nobody can read them."""
        self._clock = clock
        self._lock = threading.Lock()
        self._running: dict[ResourceKey, float] = {}
        self.list_due: Callable[[], list[ResourceKey]] = list  # the keys that wait for a worker
        self._add_queue(registry)
        self._add_reconciles(registry)
        self._requests = Counter(
            "rest_client_requests",
            "Number of requests to the Kubernetes API, by verb and code. The watches of Jobs and pods are not counted.",
            ("method", "code"),
            registry=registry,
        )
        self._request_seconds = Histogram(
            "rest_client_request_duration_seconds",
            "Seconds until the response to a request to the Kubernetes API.",
            ("verb",),
            buckets=_REQUEST_BUCKETS,
            registry=registry,
        )
        for name in CONTROLLERS.values():  # so that a rate also sees the first one
            self._adds.labels(name, name)
            self._waited.labels(name, name)
            self._worked.labels(name, name)
            self._retries.labels(name, name)
            self._seconds.labels(name)
            self._errors.labels(name)
            for outcome in Outcome:
                self._reconciles.labels(name, outcome.value)

    def _add_queue(self, registry: CollectorRegistry | None) -> None:
        labels = ("name", "controller")
        self._adds = Counter(
            "workqueue_adds",
            "Number of keys that were added to the queue, some of them for later.",
            labels,
            registry=registry,
        )
        self._waited = Histogram(
            "workqueue_queue_duration_seconds",
            "Seconds for which a key that was due waited for a worker.",
            labels,
            buckets=_QUEUE_BUCKETS,
            registry=registry,
        )
        self._retries = Counter(
            "workqueue_retries",
            "Number of keys that are reconciled again after an exception.",
            labels,
            registry=registry,
        )

    def _add_reconciles(self, registry: CollectorRegistry | None) -> None:
        self._worked = Histogram(
            "workqueue_work_duration_seconds",
            "Seconds of the reconcile of a key.",
            ("name", "controller"),
            buckets=_WORK_BUCKETS,
            registry=registry,
        )
        self._reconciles = Counter(
            "controller_runtime_reconcile",
            "Number of reconciles by result: success, requeue_after, requeue (after a conflict) or error.",
            ("controller", "result"),
            registry=registry,
        )
        self._seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Seconds of a reconcile.",
            ("controller",),
            buckets=_WORK_BUCKETS,
            registry=registry,
        )
        self._errors = Counter(
            "controller_runtime_reconcile_errors",
            "Number of reconciles that ended with an exception other than a conflict.",
            ("controller",),
            registry=registry,
        )

    def record_added(self, key: ResourceKey) -> None:
        """Records that a key was added to the queue."""
        name = CONTROLLERS[key.kind]
        self._adds.labels(name, name).inc()

    def record_taken(self, key: ResourceKey, waited: float) -> None:
        """Records that a worker begins to reconcile a key that was due for `waited` seconds."""
        name = CONTROLLERS[key.kind]
        self._waited.labels(name, name).observe(waited)
        with self._lock:
            self._running[key] = self._clock()

    def record_ended(self, key: ResourceKey, outcome: Outcome) -> None:
        """Records the result of a reconcile."""
        name = CONTROLLERS[key.kind]
        with self._lock:
            started = self._running.pop(key, None)
        if started is not None:
            seconds = self._clock() - started
            self._worked.labels(name, name).observe(seconds)
            self._seconds.labels(name).observe(seconds)
        self._reconciles.labels(name, outcome.value).inc()
        if outcome in (Outcome.ERROR, Outcome.REQUEUE):
            self._retries.labels(name, name).inc()
        if outcome is Outcome.ERROR:
            self._errors.labels(name).inc()

    def record_request(self, verb: str, code: str, seconds: float) -> None:
        """Records a request to the Kubernetes API. The code is empty if there was no response."""
        self._requests.labels(verb, code or NO_RESPONSE).inc()
        self._request_seconds.labels(verb).observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """Yields what is known only at the time of a scrape."""
        labels = ["name", "controller"]
        depth = GaugeMetricFamily("workqueue_depth", "Number of keys that wait for a worker.", labels=labels)
        unfinished = GaugeMetricFamily(
            "workqueue_unfinished_work_seconds", "Seconds of all reconciles that have not ended.", labels=labels
        )
        longest = GaugeMetricFamily(
            "workqueue_longest_running_processor_seconds",
            "Seconds of the longest reconcile that has not ended.",
            labels=labels,
        )
        active = GaugeMetricFamily(
            "controller_runtime_active_workers", "Number of workers that reconcile a key.", labels=["controller"]
        )
        due = Tally(CONTROLLERS[key.kind] for key in self.list_due())
        with self._lock:
            now = self._clock()
            running = [(CONTROLLERS[key.kind], now - started) for key, started in self._running.items()]
        for name in CONTROLLERS.values():
            seconds = [spent for controller, spent in running if controller == name]
            depth.add_metric([name, name], due[name])
            unfinished.add_metric([name, name], sum(seconds))
            longest.add_metric([name, name], max(seconds, default=0.0))
            active.add_metric([name], len(seconds))
        yield from (depth, unfinished, longest, active)
