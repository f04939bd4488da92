"""What an operator serves: nothing wrong before it has listed its objects, and only the Projects that it serves."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from tests.support.kubernetes import a_body

from pgimport.api.app import build_app
from pgimport.api.middleware import RequestMiddleware
from pgimport.kubernetes_client.resource_cache import ResourceCache
from pgimport.metrics.exposition import Exposition
from pgimport.metrics.operator_metrics import OperatorMetrics
from pgimport.model.names import PROJECTS
from pgimport.model.watch_scope import EVERYWHERE, WatchScope


class Cache(ResourceCache):
    """A cache without watches."""

    def __init__(self, *, listed: bool) -> None:
        super().__init__(None)  # type: ignore[arg-type]  # nothing is requested
        for kind in self._kinds.values():
            kind.listed = listed

    def add_project(self, name: str) -> None:
        server = {"clusterID": "eu-1", "host": "pg.internal", "adminSecretRef": {"name": "admin"}}
        body: dict[str, Any] = a_body(
            PROJECTS, name, None, spec={"organizationID": "capy", "namespace": name, "server": server}
        )
        metadata = {"uid": name, "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
        self.remember(PROJECTS, {**body, "metadata": body["metadata"] | metadata})


def read(cache: Cache, scope: WatchScope = EVERYWHERE, stall: str | None = None) -> dict[str, set[str]]:
    """Returns the names of all series, each with the Projects that it names, or with its value."""
    metrics = OperatorMetrics()
    metrics.add_state(cache, scope, lambda: stall)
    series: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(Exposition(metrics.registry).render().decode()):
        for sample in family.samples:
            series.setdefault(sample.name, set()).add(sample.labels.get("project", str(sample.value)))
    return series


def test_before_the_first_list_there_are_no_numbers_of_objects() -> None:
    series = read(Cache(listed=False), stall="it cannot list")
    assert series["pgimport_build_info"] == {"1.0"}
    assert series["pgimport_watch_stalled"] == {"1.0"}
    assert "pgimport_imports" not in series
    assert "pgimport_watch_age_seconds" not in series


@pytest.mark.parametrize(
    ("scope", "projects"),
    [
        pytest.param(EVERYWHERE, {"shop", "mall"}, id="all"),
        pytest.param(WatchScope(("mall",)), {"mall"}, id="another operator serves the other"),
    ],
)
def test_an_operator_counts_the_projects_that_it_serves(scope: WatchScope, projects: set[str]) -> None:
    cache = Cache(listed=True)
    for name in ("shop", "mall"):
        cache.add_project(name)
    assert read(cache, scope)["pgimport_imports"] == projects


def test_the_page_about_monitoring_lists_every_metric() -> None:
    page = (Path(__file__).parents[2] / "docs/operations/monitoring.md").read_text(encoding="utf-8")
    metrics, api = OperatorMetrics(), CollectorRegistry()
    metrics.add_state(Cache(listed=True), EVERYWHERE, lambda: None)
    RequestMiddleware(build_app(), api)
    families = [family for registry in (metrics.registry, api) for family in registry.collect()]
    names = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    assert {name for name in names if f"`{name}`" not in page and not name.startswith("process_")} == set()
