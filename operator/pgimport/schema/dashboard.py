"""Builds the Grafana dashboard of the chart, as classic JSON.

Each expression yields no series, instead of NaN, while nothing has happened.
"""

import json
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
_PROJECT = '{namespace=~"$namespace",project=~"$project"}'
_NAMESPACE = '{namespace=~"$namespace"}'
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_API = '{namespace=~"$namespace",route=~"/v1/.*"}'
_INTERVAL = "$__rate_interval"  # Grafana makes it hold at least four scrapes
_COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: its queries by their legends. A panel without queries is the title of a row."""

    title: str
    queries: tuple[tuple[str, str], ...] = ()  # legend and expression
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    text: str = ""


def _select(name: str, **labels: str) -> str:
    """Selects the series of the chosen Projects."""
    more = "".join(f',{label}="{value}"' for label, value in labels.items())
    return f"{name}{_PROJECT[:-1]}{more}}}"


def _of_operator(expression: str) -> str:
    """Keeps the series of our operators: other controllers have metrics of the same names."""
    info = 'pgimport_build_info{component="operator",namespace=~"$namespace"}'
    return f"{expression} * on (job, namespace, instance) group_left () {info}"


def _of_programs(expression: str) -> str:
    """Keeps the series of our programs, and adds their names."""
    return f"{expression} * on (job, namespace, instance) group_left (component) pgimport_build_info{_NAMESPACE}"


def _legend(labels: str) -> str:
    """Shows the values of labels."""
    return " ".join(f"{{{{{label}}}}}" for label in labels.split(", "))


def _sum(labels: str, expression: str) -> tuple[str, str]:
    return _legend(labels), f"sum by ({labels}) ({expression})"


def _worst(labels: str, aggregator: str, expression: str) -> tuple[str, str]:
    """Shows the `min` or `max` by labels, whose sum has no meaning: several releases can have equal labels."""
    return _legend(labels), f"{aggregator} by ({labels}) ({expression})"


def _age(labels: str, name: str) -> tuple[str, str]:
    return _legend(labels), f"time() - min by ({labels}) ({_select(name)})"


def _hourly(labels: str, name: str) -> tuple[str, str]:
    legend, _ = _sum(labels, "")
    return legend, _count_events(f"by ({labels}) ", _select(name), "1h")


def _count_events(by: str, series: str, window: str) -> str:
    """Counts events. `increase` misses the first one of each series, which begins with it and not with 0."""
    increase = f"sum {by}(increase({series}[{window}]))"
    first = f"sum {by}(min_over_time({series}[{window}]) unless {series} offset {window})"
    return f"{increase} + ({first} or {increase} * 0)"


def _quantile(
    legend: str, quantile: float, name: str, selector: str = _NAMESPACE, window: str = "1h"
) -> tuple[str, str]:
    return legend, f"histogram_quantile({quantile}, sum by (le) (rate({name}_bucket{selector}[{window}]))) >= 0"


def _quantiles(name: str) -> tuple[tuple[str, str], ...]:
    return _quantile("median", 0.5, name), _quantile("95 %", 0.95, name)


def _mean(labels: str, name: str) -> tuple[str, str]:
    legend, seconds = _sum(labels, f"rate({name}_sum{_NAMESPACE}[1h])")
    _, count = _sum(labels, f"rate({name}_count{_NAMESPACE}[1h])")
    return legend, f"{seconds} / ({count} > 0)"


def _rate(name: str, selector: str = _NAMESPACE) -> str:
    return f"rate({name}{selector}[{_INTERVAL}])"


def _count(title: str, expression: str, text: str = "") -> Panel:
    return Panel(title, (("", f"{expression} or vector(0)"),), kind="stat", width=4, text=text)


def _import(name: str) -> tuple[tuple[str, str], ...]:
    return (("{{project}}/{{import}}", _select(f"pgimport_running_import_{name}")),)


_NOW = (
    Panel("Now", kind="row"),
    _count("Running imports", f"sum({_select('pgimport_imports', state='running')})"),
    _count("Waiting imports", f"sum({_select('pgimport_imports_waiting')})", "Suspended imports do not count."),
    _count("Failed in 24 hours", _count_events("", _select("pgimport_imports_ended_total", state="failed"), "24h")),
    _count("Servers down", f"count({_select('pgimport_target_server_up')} == 0)"),
    _count("Ready previews", f"sum({_select('pgimport_previews', state='ready')})"),
    _count("Leftovers", f"sum({_select('pgimport_leftovers')})", "Objects whose clean-up does not succeed."),
)
_IMPORTS = (
    Panel("Imports", kind="row"),
    Panel("Imports by state", (_sum("state", _select("pgimport_imports")),)),
    Panel("Ended imports", (_hourly("state, reason", "pgimport_imports_ended_total"),), text="In the last hour."),
    Panel("Waiting by reason", (_sum("reason", _select("pgimport_imports_waiting")),)),
    Panel("Progress of running imports", _import("progress_ratio"), "percentunit", text="The oldest 100 imports."),
    Panel("Rate of running imports", _import("bytes_per_second"), "Bps"),
    Panel("Source held by running imports", _import("source_held_seconds"), "s", text="Its locks and its snapshot."),
    Panel("Duration of imports", _quantiles("pgimport_import_duration_seconds"), "s"),
    Panel("Wait before the start", _quantiles("pgimport_import_wait_seconds"), "s"),
    Panel("Source held", _quantiles("pgimport_source_held_seconds"), "s", text="By imports that have ended."),
    Panel("Mean duration of phases", (_mean("phase", "pgimport_import_phase_seconds"),), "s"),
    Panel("Attempts", (_hourly("project", "pgimport_import_attempts_total"),), text="In the last hour."),
    Panel("Imported bytes", (_hourly("project", "pgimport_imported_bytes_total"),), "bytes", text="In the last hour."),
    Panel("Imported rows", (_hourly("project", "pgimport_imported_rows_total"),), text="In the last hour."),
    Panel("Part of stallTimeout", (_worst("project", "max", _select("pgimport_import_stall_ratio")),), "percentunit"),
    Panel("Imports in a later attempt", (_sum("project", _select("pgimport_imports_retrying")),)),
)
_PREVIEWS = (
    Panel("Previews and servers", kind="row"),
    Panel("Previews by state", (_sum("state", _select("pgimport_previews")),)),
    Panel("Age of golden data", (_age("project", "pgimport_golden_data_timestamp_seconds"),), "s"),
    Panel("Copies of previews", _quantiles("pgimport_preview_copy_seconds"), "s"),
    Panel("Target servers", (_worst("project", "min", _select("pgimport_target_server_up")),), text="1: up, 0: down."),
    Panel("Leftovers by Project", (_sum("project", _select("pgimport_leftovers")),)),
    Panel("Oldest deletion", (_age("project, resource", "pgimport_oldest_deletion_timestamp_seconds"),), "s"),
)
_WEBHOOKS = (
    Panel("Webhooks", kind="row"),
    Panel(
        "Requests to webhooks",
        (_hourly("project, result", "pgimport_webhook_requests_total"),),
        width=12,
        text="In the last hour.",
    ),
    Panel(
        "Failing webhooks",
        (_worst("project", "max", _select("pgimport_webhooks_failing")),),
        width=12,
        text="1: failing.",
    ),
)
_RECONCILES, _REQUESTS = "controller_runtime_reconcile", "rest_client_requests_total"
_OPERATOR = (
    Panel("Operator", kind="row"),
    Panel("Reconciles", (_sum("controller, result", _of_operator(_rate(f"{_RECONCILES}_total"))),), "ops"),
    Panel("Keys that wait for a worker", (_sum("controller", _of_operator(f"workqueue_depth{_NAMESPACE}")),)),
    Panel("Requests to the Kubernetes API", (_sum("method, code", _of_operator(_rate(_REQUESTS))),), "reqps"),
    Panel("Age of watches", (_worst("resource", "max", f"pgimport_watch_age_seconds{_NAMESPACE}"),), "s"),
    Panel("Memory", (_sum("component", _of_programs(f"process_resident_memory_bytes{_NAMESPACE}")),), "bytes"),
    Panel("CPU", (_sum("component", _of_programs(_rate("process_cpu_seconds_total"))),), text="Cores."),
)
_API_REQUESTS = _rate("pgimport_api_requests_total", _API)
_HTTP_API = (
    Panel("HTTP API", kind="row"),
    Panel("Requests by status", (_sum("status", _API_REQUESTS),), "reqps"),
    Panel("Requests by route", (_sum("method, route", _API_REQUESTS),), "reqps"),
    Panel("Time of requests", (_quantile("95 %", 0.95, "pgimport_api_request_seconds", _API, _INTERVAL),), "s"),
)
PANELS = (*_NOW, *_IMPORTS, *_PREVIEWS, *_WEBHOOKS, *_OPERATOR, *_HTTP_API)


def _build_panel(number: int, panel: Panel, x: int, y: int) -> Json:
    if panel.kind == "row":
        place = {"h": 1, "w": _COLUMNS, "x": 0, "y": y}
        return {"id": number, "type": "row", "title": panel.title, "collapsed": False, "gridPos": place, "panels": []}
    targets = [
        {
            "refId": chr(ord("A") + index),
            "expr": expression,
            "legendFormat": legend or "__auto",
            "datasource": _DATASOURCE,
        }
        for index, (legend, expression) in enumerate(panel.queries)
    ]
    body: Json = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": _DATASOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "gridPos": {"h": _height(panel), "w": panel.width, "x": x, "y": y},
        "targets": targets,
    }
    return body | ({"description": panel.text} if panel.text else {})


def _height(panel: Panel) -> int:
    return {"row": 1, "stat": 4}.get(panel.kind, 8)


def _build_panels() -> list[Json]:
    """Places the panels from left to right, and begins a line when the next panel does not fit."""
    panels, x, y, height = [], 0, 0, 0
    for number, panel in enumerate(PANELS, start=1):
        if panel.kind == "row" or x + panel.width > _COLUMNS:
            x, y = 0, y + height
        panels.append(_build_panel(number, panel, x, y))
        height = _height(panel)
        x = _COLUMNS if panel.kind == "row" else x + panel.width
    return panels


def _build_variable(name: str, label: str, metric: str) -> Json:
    query = f"label_values({metric}, {name})"
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,  # when the time range changes
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def build_dashboard() -> str:
    """Builds the dashboard as JSON text."""
    datasource = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    project = _build_variable("project", "Project", f"pgimport_imports{_NAMESPACE}")
    body: Json = {
        "uid": "pgimport",
        "title": "pgimport",
        "description": "Imports, previews, target servers, the operator and the HTTP API of pgimport.",
        "tags": ["pgimport", "postgresql"],
        "schemaVersion": 39,
        "editable": True,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "templating": {"list": [datasource, _build_variable("namespace", "Namespace", "pgimport_build_info"), project]},
        "annotations": {"list": []},
        "panels": _build_panels(),
    }
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"
