"""Metrics about a process: its version, memory and CPU time."""

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

from pgimport import __version__


def add_build_info(registry: CollectorRegistry, component: str) -> None:
    """Adds the metrics of this process. `component`: `operator` or `api`."""
    labels = ("component", "version")
    info = Gauge(
        "pgimport_build_info", "Always 1; the labels name the program and its version.", labels, registry=registry
    )
    info.labels(component, __version__).set(1)
    ProcessCollector(registry=registry)
