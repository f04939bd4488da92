"""A real Prometheus reads the operator and the API while imports run, one fails, and a target server is down.

Each plot of the dashboard then has a value, and an alert fires and resolves.
"""

import math
import re
from collections.abc import Iterator
from functools import partial

import pytest
from tests.handlers.emulated_tenant import wait_for
from tests.handlers.monitored_operator import ALERTS, DARK, PANELS, PATIENCE, Scene, run_scene
from tests.support.kubernetes import Json
from tests.support.postgres import PostgresServer
from tests.support.tcp_proxies import listen, pass_on

pytestmark = [pytest.mark.thorough, pytest.mark.slow]


@pytest.fixture(scope="module")
def scene(postgres16: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with run_scene(postgres16, tmp_path_factory.mktemp("prometheus")) as running:
        yield running


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_each_plot_has_a_number(panel: Json, scene: Scene) -> None:
    for target in panel["targets"]:
        series = wait_for(target["expr"], partial(scene.find_series, target["expr"]), PATIENCE)
        assert not [item for item in series if math.isnan(float(item["value"][1]))]


@pytest.mark.parametrize("rule", ALERTS, ids=[rule["alert"] for rule in ALERTS])
def test_each_alert_compares_numbers(rule: Json, scene: Scene) -> None:
    """The names in the expression exist, and without the comparison there is no NaN."""
    for name in set(re.findall(r"\b(?:pgimport|controller_runtime)_\w+", rule["expr"])):
        wait_for(name, partial(scene.prometheus.query, name), PATIENCE)
    assert not [item for item in scene.prometheus.query(rule["expr"]) if math.isnan(float(item["value"][1]))]


def test_a_failed_import_raises_its_alert(scene: Scene) -> None:
    wait_for("the alert", lambda: scene.prometheus.is_firing("ImportFailed", "shop"), PATIENCE)
    assert not scene.prometheus.is_firing("ImportFailed", DARK)


def test_a_failing_webhook_raises_its_alert(scene: Scene) -> None:
    wait_for("the alert", lambda: scene.prometheus.is_firing("WebhooksFailing", "shop"), PATIENCE)


def test_a_server_that_is_down_raises_an_alert_until_it_is_back(scene: Scene) -> None:
    wait_for("the alert", lambda: scene.prometheus.is_firing("TargetServerDown", DARK), PATIENCE)
    assert not scene.prometheus.is_firing("TargetServerDown", "shop")
    server = (scene.tenant.server.host, scene.tenant.server.port)
    with listen(
        lambda client, _: pass_on(client, server, lambda data, is_client: None), ("127.0.0.1", scene.dark_port)
    ):
        wait_for("the end of the alert", lambda: not scene.prometheus.is_firing("TargetServerDown", DARK), PATIENCE)
        assert scene.prometheus.query(f'pgimport_target_server_up{{project="{DARK}"}} == 1')
