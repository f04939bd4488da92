"""A real Prometheus that reads the operator and the API, which run over an emulated Kubernetes API."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import yaml
from tests.cluster.prometheus_programs import find_prometheus_program
from tests.handlers.emulated_tenant import HOME, NAMESPACE, PASSED, WAITING, Tenant, ended, running, wait_for
from tests.handlers.running_operator import free_port, run_operator, write_kubeconfig
from tests.support.kubernetes import BYSTANDER, Json, a_body, run_kubernetes
from tests.support.postgres import PostgresServer
from tests.support.samples import a_failed_result, a_result

from pgimport.api.app import build_app
from pgimport.kubernetes_client import api_paths
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS, outbox_name
from pgimport.model.reasons import Reason
from pgimport.model.status import ImportPhase, Progress

CHART = Path(__file__).parents[2] / "charts/pgimport/files"
PANELS: list[Json] = [
    panel
    for panel in json.loads((CHART / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    if "targets" in panel
]
ALERTS: list[Json] = yaml.safe_load((CHART / "alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
PATIENCE = 120.0
DARK = "dark"  # a Project whose server is down at first


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    port: int

    def query(self, expression: str, **times: float) -> list[Json]:
        """Returns the series of an expression, with the variables of the dashboard replaced.

        `times` are the start, the end and the step of a range.
        """
        for name, value in (("$namespace", ".*"), ("$project", ".*"), ("$__rate_interval", "20s")):
            expression = expression.replace(name, value)
        url = f"http://127.0.0.1:{self.port}/api/v1/query{'_range' if times else ''}"
        response = httpx.get(url, params={"query": expression, **times}, timeout=30)
        assert response.status_code == 200, f"{expression}: {response.text}"
        result: list[Json] = response.json()["data"]["result"]
        return result

    def is_firing(self, alert: str, project: str) -> bool:
        return bool(self.query(f'ALERTS{{alertname="{alert}",alertstate="firing",project="{project}"}}'))


@contextmanager
def run_prometheus(folder: Path, **targets: int) -> Iterator[Prometheus]:
    """Runs Prometheus with the chart's alerts, which here fire without a delay."""
    rules = [{key: value for key, value in rule.items() if key != "for"} for rule in ALERTS]
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "pgimport", "rules": rules}]}))
    jobs = [
        {
            "job_name": name,
            "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": {"namespace": "pgimport-system"}}],
        }
        for name, port in targets.items()
    ]
    settings = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config = {"global": settings, "rule_files": ["rules.yaml"], "scrape_configs": jobs}
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    port = free_port()
    arguments = [
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([find_prometheus_program("prometheus"), *arguments], stdout=log, stderr=log)
    try:
        wait_for("Prometheus to be ready", lambda: is_ready(port), PATIENCE)
        prometheus = Prometheus(port)
        wait_for("all targets", lambda: len(prometheus.query("up == 1")) == len(targets), PATIENCE)
        yield prometheus
    finally:
        process.terminate()
        process.wait(60)


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/-/ready").status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def run_api() -> Iterator[int]:
    """Serves the API without a cluster, which answers requests that need no credentials."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(build_app(), host="127.0.0.1", port=port, log_config=None))
    thread = threading.Thread(target=server.run, name="api")
    thread.start()
    try:
        wait_for("the API to listen", lambda: server.started, PATIENCE)
        yield port
    finally:
        server.should_exit = True
        thread.join(60)


def create_dark_project(tenant: Tenant, port: int) -> None:
    """Creates a Project whose server is the tenant's, at a port where nothing listens yet."""
    spec = tenant.cluster.get(api_paths.resource(PROJECTS, "", "shop"))["spec"]
    spec = {**spec, "namespace": DARK, "server": {**spec["server"], "host": "127.0.0.1", "port": port}}
    tenant.kubernetes.emulator.faults.namespaces[DARK] = "Active"
    tenant.create(api_paths.resource(PROJECTS), a_body(PROJECTS, DARK, None, spec=spec))


def create_preview(tenant: Tenant, name: str, **spec: Any) -> None:
    tenant.create(api_paths.resource(PREVIEWS, NAMESPACE), a_body(PREVIEWS, name, spec={"project": "shop", **spec}))


def copy_golden_preview(tenant: Tenant) -> None:
    """Completes an import into a golden preview, and copies it."""
    create_preview(tenant, "golden", golden=True)
    tenant.apply_import("golden")
    job = tenant.job("golden")
    pod = tenant.show_pod(job, ended(PASSED, 0), running(), "Running")
    tenant.fill(job, pod, "CREATE TABLE cats (id int PRIMARY KEY)")
    report_phase(tenant, "golden", pod, ImportPhase.DATA)
    tenant.change_pod(pod, ended(PASSED, 0), ended(a_result(data_as_of=datetime.now(UTC)), 0), "Succeeded")
    tenant.end_job(job, {"type": "Complete", "status": "True"})
    tenant.wait_for_state("golden", "completed")
    create_preview(tenant, "copy", mode="clone", **{"from": {"previewDatabase": "golden"}})
    wait_for("the copy", lambda: tenant.status("copy", PREVIEWS).get("state") == "ready", PATIENCE)


def fail_import(tenant: Tenant) -> None:
    tenant.apply("bad")
    job = tenant.job("bad")
    refused = a_failed_result(Reason.SOURCE_AUTH_FAILED, step="preflight")
    tenant.show_pod(job, ended(refused, 66), WAITING, "Failed")
    tenant.end_job(job, {"type": "FailureTarget", "status": "True", "reason": "PodFailurePolicy"})
    tenant.wait_for_state("bad", "failed")


def run_import(tenant: Tenant) -> str:
    """Leaves an import that copies rows, and reports two phases. Returns its pod."""
    tenant.apply("busy")
    pod = tenant.show_pod(tenant.job("busy"), ended(PASSED, 0), running(), "Running")
    for phase in (ImportPhase.SCHEMA, ImportPhase.DATA):
        report_phase(tenant, "busy", pod, phase)
    return pod


def report_phase(tenant: Tenant, name: str, pod: str, phase: ImportPhase, percent: int = 42) -> None:
    """Writes a line of progress as the worker does, and waits until the operator has read it."""
    progress = Progress(
        phase=phase,
        percent=percent,
        bytes_total=1,
        bytes_per_second=1000,
        source_held_seconds=percent,
        at=datetime.now(UTC),
    )
    shown = progress.to_json()
    tenant.kubernetes.emulator.faults.logs[pod] = json.dumps({"progress": shown})

    def is_read() -> bool:
        read = tenant.status(name).get("progress", {})
        return bool(read.get("phase") == shown["phase"] and read.get("percent") == shown["percent"])

    wait_for(f"{percent} % of {phase}", is_read, PATIENCE)


def add_webhook(tenant: Tenant) -> None:
    """Adds a webhook whose Secret is missing, so that each request to it fails."""
    outbox = {"name": outbox_name("pgimport"), "namespace": HOME}
    tenant.create(api_paths.core(HOME, "configmaps"), {"apiVersion": "v1", "kind": "ConfigMap", "metadata": outbox})
    webhook = {"name": "ci", "url": "https://ci.example/hook", "secretRef": {"name": "absent", "key": "key"}}
    tenant.cluster.patch(api_paths.resource(PROJECTS, "", "shop"), {"spec": {"webhooks": [webhook]}})


def delete_held_preview(tenant: Tenant) -> None:
    """Leaves a preview that is being deleted."""
    body = a_body(PREVIEWS, "held", spec={"project": "shop"})
    body["metadata"]["finalizers"] = ["example.test/hold"]
    tenant.create(api_paths.resource(PREVIEWS, NAMESPACE), body)
    tenant.cluster.delete(api_paths.resource(PREVIEWS, NAMESPACE, "held"))


@dataclass(frozen=True)
class Scene:
    """What Prometheus has seen."""

    prometheus: Prometheus
    tenant: Tenant
    api_port: int
    dark_port: int
    pod: str  # of the running import

    def find_series(self, expression: str) -> list[Json]:
        """Returns the series of a plot while somebody uses the API."""
        httpx.get(f"http://127.0.0.1:{self.api_port}/v1/openapi.json")
        return self.prometheus.query(expression)


@contextmanager
def run_scene(postgres: PostgresServer, folder: Path) -> Iterator[Scene]:
    """Runs Prometheus, the operator and the API, with an object of each kind that a plot shows."""
    with run_kubernetes() as kubernetes, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(write_kubeconfig(kubernetes.url, folder)))
        tenant = Tenant(kubernetes, kubernetes.connect(BYSTANDER), postgres)
        tenant.prepare()
        add_webhook(tenant)
        dark_port = free_port()
        create_dark_project(tenant, dark_port)
        with (
            run_operator(kubernetes) as operator_port,
            run_api() as api_port,
            run_prometheus(folder, operator=operator_port, api=api_port) as prometheus,
        ):
            copy_golden_preview(tenant)
            fail_import(tenant)
            pod = run_import(tenant)
            delete_held_preview(tenant)
            tenant.create(
                api_paths.resource(IMPORTS, NAMESPACE),
                a_body(
                    IMPORTS,
                    "waits",
                    spec={
                        "project": "shop",
                        "source": {"urlSecretRef": {"name": "absent", "key": "url"}},
                        "target": {"previewDatabase": "absent"},
                    },
                ),
            )
            yield Scene(prometheus, tenant, api_port, dark_port, pod)
