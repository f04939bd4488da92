"""The metrics of the running operator, as Prometheus reads them."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.cluster.prometheus_programs import find_prometheus_program
from tests.handlers.emulated_tenant import WAITING, Tenant, ended, wait_for
from tests.handlers.running_operator import complete, run_operator, write_kubeconfig
from tests.support.kubernetes import BYSTANDER, run_kubernetes
from tests.support.postgres import PostgresServer
from tests.support.samples import a_failed_result

from pgimport.model.reasons import Reason

pytestmark = pytest.mark.slow
FAILED = {"project": "shop", "state": "failed", "reason": "SourceAuthFailed", "source": "unknown", "dry_run": "false"}


@dataclass(frozen=True)
class Scraped:
    """A tenant, and the port where the operator serves metrics."""

    tenant: Tenant
    port: int

    def read(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.port}/metrics").raise_for_status().text

    def value(self, name: str, /, **labels: str) -> float | None:
        samples = [sample for family in text_string_to_metric_families(self.read()) for sample in family.samples]
        return next((sample.value for sample in samples if (sample.name, sample.labels) == (name, labels)), None)

    def wait_for(self, name: str, value: float, /, **labels: str) -> None:
        wait_for(f"{name} to be {value}", lambda: self.value(name, **labels) == value)


@pytest.fixture(scope="module")
def scraped(postgres16: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    with run_kubernetes() as kubernetes, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(write_kubeconfig(kubernetes.url, tmp_path_factory.mktemp("kubeconfig"))))
        tenant = Tenant(kubernetes, kubernetes.connect(BYSTANDER), postgres16)
        tenant.prepare()
        with run_operator(kubernetes) as port:
            tenant.apply("good")
            complete(tenant, "good")
            tenant.apply("bad", maxAttempts=1)
            refused = a_failed_result(Reason.SOURCE_AUTH_FAILED, step="preflight")
            job = tenant.job("bad")
            tenant.show_pod(job, ended(refused, 66), WAITING, "Failed")
            tenant.end_job(job, {"type": "Failed", "status": "True", "reason": "PodFailurePolicy"})
            tenant.wait_for_state("bad", "failed")
            yield Scraped(tenant, port)


def test_objects_and_ends_are_counted(scraped: Scraped) -> None:
    scraped.wait_for("pgimport_imports", 1, project="shop", state="completed")
    scraped.wait_for("pgimport_imports", 1, project="shop", state="failed")
    scraped.wait_for("pgimport_imports_ended_total", 1, **FAILED)
    scraped.wait_for("pgimport_target_server_up", 1, project="shop")
    scraped.wait_for("pgimport_watch_stalled", 0)
    assert (scraped.value("pgimport_last_failed_import_timestamp_seconds", project="shop") or 0) > 0
    assert (scraped.value("rest_client_requests_total", method="PATCH", code="200") or 0) > 0
    assert (scraped.value("workqueue_adds_total", name="project", controller="project") or 0) > 0


def test_promtool_finds_nothing_to_criticise(scraped: Scraped) -> None:
    promtool = find_prometheus_program("promtool")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=scraped.read(), capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_no_label_holds_a_name_that_a_tenant_chose(scraped: Scraped) -> None:
    """Each label value is kept until the operator ends. A running import is named only while it runs."""
    samples = [sample for family in text_string_to_metric_families(scraped.read()) for sample in family.samples]
    assert [sample for sample in samples if {"good", "bad"} & set(sample.labels.values())] == []
    reserved = {"job", "instance", "namespace", "pod", "container", "service", "endpoint"}
    assert [sample for sample in samples if reserved & sample.labels.keys()] == [], "Prometheus sets these itself"


def test_an_operator_whose_port_is_taken_says_so(tmp_path: Path) -> None:
    """It ends before it connects to anything."""
    with socket.create_server(("0.0.0.0", 0)) as taken:  # noqa: S104 (as the operator listens)
        port = str(taken.getsockname()[1])
        process = subprocess.run(
            [sys.executable, "-m", "pgimport", "operator"],
            env={
                **os.environ,
                "KUBECONFIG": str(write_kubeconfig("http://127.0.0.1:1", tmp_path)),
                "PGIMPORT_NAMESPACE": "pgimport-system",
                "PGIMPORT_WORKER_IMAGES": "{}",
                "PGIMPORT_METRICS_PORT": port,
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert (process.returncode, process.stderr) == (78, f"PGIMPORT_METRICS_PORT: port {port}: Address already in use\n")
