"""The text of the metrics is rendered at most once a second, however many read it."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pgimport.metrics.exposition import Exposition


class Renderings(Collector):
    """Counts how often it was read."""

    count = 0

    def collect(self) -> Iterator[Metric]:
        self.count += 1
        yield GaugeMetricFamily("renderings", "Number of renderings.", value=self.count)


def test_a_text_serves_all_readers_of_a_second() -> None:
    registry, now = CollectorRegistry(), [100.0]
    registry.register(Renderings())
    exposition = Exposition(registry, lambda: now[0])
    first = exposition.render()
    assert b"renderings 1.0" in first
    now[0] += 0.9
    assert exposition.render() == first
    now[0] += 0.2
    assert b"renderings 2.0" in exposition.render()
