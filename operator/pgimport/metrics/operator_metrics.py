"""All metrics of one operator process, in one registry."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pgimport.kubernetes_client.resource_cache import ResourceCache
from pgimport.metrics.build_info import add_build_info
from pgimport.metrics.queue_metrics import QueueMetrics
from pgimport.metrics.state_gauges import Memory, Snapshot, build_gauges
from pgimport.metrics.transition_metrics import TransitionMetrics
from pgimport.metrics.webhook_metrics import WebhookMetrics
from pgimport.model.names import IMPORTS, PREVIEWS
from pgimport.model.resources import ImportObject, ImportOwner, PreviewObject
from pgimport.model.watch_scope import WatchScope


class OperatorMetrics:
    """Holds what reconciles and the Kubernetes client report; safe to share between threads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.queue = QueueMetrics(self.registry)
        self.transitions = TransitionMetrics(self.registry)
        self.webhooks = WebhookMetrics(self.registry)
        add_build_info(self.registry, "operator")

    def add_state(self, cache: ResourceCache, scope: WatchScope, find_stall: Callable[[], str | None]) -> None:
        """Adds the gauges that are computed at the time of a scrape.

        `scope`: the Projects that this operator serves. `find_stall` tells why the operator misses changes, or returns
        None.
        """
        self.registry.register(_StateCollector(self, cache, scope, find_stall))


class _StateCollector(Collector):
    """Computes gauges from the cache. Until the cache has all objects, there are no numbers of objects."""

    def __init__(
        self,
        metrics: OperatorMetrics,
        cache: ResourceCache,
        scope: WatchScope,
        find_stall: Callable[[], str | None],
    ) -> None:
        self._metrics, self._cache, self._scope, self._find_stall = metrics, cache, scope, find_stall
        transitions = metrics.transitions
        self._memory = Memory(
            started_at=datetime.now(UTC),
            find_start_of_wait=transitions.find_start_of_wait,
            find_last_failure=transitions.find_last_failure,
        )

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics.queue.collect()
        stalled = GaugeMetricFamily("pgimport_watch_stalled", "1 if the operator misses changes of objects, else 0.")
        stalled.add_metric([], float(self._find_stall() is not None))
        yield stalled
        ages = GaugeMetricFamily(
            "pgimport_watch_age_seconds",
            "Seconds since the API server last sent something about a resource. It sends a bookmark every minute.",
            labels=["resource"],
        )
        for kind, age in self._cache.measure_watch_ages().items():
            ages.add_metric([kind], age)
        yield ages
        if self._cache.listed:
            snapshot = _take_snapshot(self._cache, self._scope)
            self._forget_deleted(snapshot)
            yield from build_gauges(snapshot, self._memory, datetime.now(UTC))

    def _forget_deleted(self, snapshot: Snapshot) -> None:
        active = {item.meta.uid for items in snapshot.active.values() for item in items}
        self._metrics.transitions.forget_others(active, {item.meta.name for item in snapshot.projects})


def _take_snapshot(cache: ResourceCache, scope: WatchScope) -> Snapshot:
    projects = [item for item in cache.list_projects() if item.spec and scope.includes_namespace(item.spec.namespace)]
    active = cache.list_by_namespace(IMPORTS, ImportObject)
    ended = cache.list_by_namespace(IMPORTS, ImportOwner)
    return Snapshot(
        projects=projects,
        previews=cache.list_by_namespace(PREVIEWS, PreviewObject),
        active=active,
        ended=ended,
    )
