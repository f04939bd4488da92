"""Tests what the chart renders for Prometheus and Grafana."""

import json
from typing import Any

import pytest
import yaml
from tests.charts.conftest import CHART, Helm, Manifest, Render

from pgimport.settings import Settings

KINDS = ("PodMonitor", "PrometheusRule")
ALL: Manifest = {
    "api": {"enabled": True},
    "metrics": {
        "podMonitor": {"enabled": True, "labels": {"release": "monitoring"}, "interval": "15s"},
        "prometheusRule": {
            "enabled": True,
            "labels": {"release": "monitoring"},
            "goldenDataDays": 3,
            "runbookURL": "https://docs.test/alerts.html",
        },
        "dashboard": {"enabled": True},
        "networkPolicy": {"create": True, "from": [{"namespaceSelector": {}}]},
    },
}
RULES: Manifest = yaml.safe_load((CHART / "files/alerts.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def monitored(helm: Helm) -> list[Manifest]:
    """Renders everything for a cluster with the Prometheus Operator."""
    versions = [f"--api-versions=monitoring.coreos.com/v1/{kind}" for kind in KINDS]
    result = helm("template", "pgimport", str(CHART), "--namespace", "pgimport-system", *versions, values=ALL)
    assert result.returncode == 0, result.stderr
    return [document for document in yaml.safe_load_all(result.stdout) if document]


def select(documents: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {document["metadata"]["name"]: document for document in documents if document["kind"] == kind}


def ports(documents: list[Manifest], deployment: str) -> dict[str, int]:
    (container,) = select(documents, "Deployment")[deployment]["spec"]["template"]["spec"]["containers"]
    return {port["name"]: port["containerPort"] for port in container["ports"]}


def test_nothing_of_it_is_there_by_default(render: Render) -> None:
    documents = render({})
    assert [document["kind"] for document in documents if document["kind"] in (*KINDS, "NetworkPolicy")] == []
    assert "pgimport-dashboard" not in select(documents, "ConfigMap")


def test_a_cluster_without_the_prometheus_operator_gets_the_rest(render: Render) -> None:
    documents = render(ALL)
    assert [document["kind"] for document in documents if document["kind"] in KINDS] == []
    assert "pgimport-dashboard" in select(documents, "ConfigMap")


@pytest.mark.parametrize(("name", "port"), [("pgimport-operator", "metrics"), ("pgimport-api", "http")])
def test_a_pod_monitor_selects_its_pods_and_a_port_that_they_have(
    name: str, port: str, monitored: list[Manifest]
) -> None:
    monitor = select(monitored, "PodMonitor")[name]
    assert monitor["metadata"]["labels"]["release"] == "monitoring"
    selector = monitor["spec"]["selector"]["matchLabels"]
    assert selector == select(monitored, "Deployment")[name]["spec"]["selector"]["matchLabels"]
    assert monitor["spec"]["podMetricsEndpoints"] == [{"port": port, "path": "/metrics", "interval": "15s"}]
    assert port in ports(monitored, name)


def test_no_pod_monitor_without_an_api(helm: Helm) -> None:
    values = {**ALL, "api": {"enabled": False}}
    version = "--api-versions=monitoring.coreos.com/v1/PodMonitor"
    documents = yaml.safe_load_all(helm("template", "pgimport", str(CHART), version, values=values).stdout)
    assert list(select([document for document in documents if document], "PodMonitor")) == ["pgimport-operator"]


def test_the_operator_listens_where_pods_are_scraped(render: Render) -> None:
    documents = render({})
    assert ports(documents, "pgimport-operator")["metrics"] == Settings.model_fields["metrics_port"].default
    service = select(documents, "Service")["pgimport-operator-metrics"]
    assert {port["name"]: port["targetPort"] for port in service["spec"]["ports"]}["metrics"] == "metrics"


def test_alerts_keep_their_templates_and_get_the_chosen_days(monitored: list[Manifest]) -> None:
    rendered = select(monitored, "PrometheusRule")["pgimport"]
    assert rendered["metadata"]["labels"]["release"] == "monitoring"
    (group,) = rendered["spec"]["groups"]
    (original,) = RULES["groups"]
    changed: dict[str, Any] = {}
    for rule, before in zip(group["rules"], original["rules"], strict=True):
        assert rule["annotations"].pop("runbook_url") == f"https://docs.test/alerts.html#{rule['alert'].lower()}"
        if rule != before:
            changed[rule["alert"]] = rule["expr"]
    assert list(changed) == ["GoldenDataOld"]
    assert changed["GoldenDataOld"].endswith("> 3 * 86400")


def test_grafana_finds_the_dashboard(monitored: list[Manifest]) -> None:
    config = select(monitored, "ConfigMap")["pgimport-dashboard"]
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(config["data"]["pgimport.json"])["uid"] == "pgimport"


def test_the_network_policy_admits_scrapes_and_probes(monitored: list[Manifest]) -> None:
    policy = select(monitored, "NetworkPolicy")["pgimport-operator"]["spec"]
    assert policy["policyTypes"] == ["Ingress"]
    metrics, health = policy["ingress"]
    assert metrics == {"ports": [{"port": "metrics"}], "from": [{"namespaceSelector": {}}]}
    assert health == {"ports": [{"port": "http"}]}
    assert {"metrics", "http"} == ports(monitored, "pgimport-operator").keys()


def test_the_notes_name_kinds_that_the_cluster_lacks(helm: Helm) -> None:
    notes = helm("install", "pgimport", str(CHART), "--dry-run=client", values=ALL).stdout
    for kind in KINDS:
        assert f"The cluster has no kind {kind}" in notes
