"""Reads that a restarted operator needs until it shows the progress of all running imports."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from tests.handlers.emulated_tenant import NAMESPACE, PASSED, Tenant, ended, running
from tests.handlers.stepwise_operator import build_context
from tests.support.kubernetes import BYSTANDER, Json, Kubernetes, a_body, run_kubernetes
from tests.support.postgres import PostgresServer

from pgimport.kubernetes_client import api_paths
from pgimport.model.names import (
    FINALIZER_PREVIEW,
    FINALIZER_PROJECT,
    IMPORTS,
    LABEL_IMPORT_UID,
    PREVIEWS,
    PROJECTS,
    attempt_names,
    job_name,
)
from pgimport.model.resources import ResourceKey
from pgimport.model.status import Attempt, ImportPhase, ImportState, ImportStatus, Progress, Shadow
from pgimport.reconcile.reconcile_loop import reconcile

pytestmark = pytest.mark.slow
NAMES = [f"import-{number}" for number in range(4)]


def create_running_import(tenant: Tenant, name: str) -> None:
    """Creates a running import whose operator was killed during the copy and whose worker went on."""
    ready = {
        "state": "ready",
        "database": name,
        "role": f"{name}_owner",
        "connectionSecret": f"{name}-connection",
        "activeImport": name,
        "activeImportName": name,
        "observedGeneration": 1,
    }
    preview = a_body(PREVIEWS, name, spec={"project": "shop"}, status=ready)
    preview["metadata"]["finalizers"] = [FINALIZER_PREVIEW]
    tenant.create(api_paths.resource(PREVIEWS, NAMESPACE), preview)
    shadow, job, at = attempt_names(name), job_name(name, name), datetime.now(UTC)
    status = ImportStatus(
        state=ImportState.RUNNING,
        started_at=at,
        job=job,
        attempts=1,
        claimed_by=name,
        observed_generation=1,
        attempt_history=[Attempt(number=1, pod=name, pod_uid=name, started_at=at)],
        shadow=Shadow(pod_uid=name, database=shadow.database, role=shadow.role),
        progress=Progress(phase=ImportPhase.DATA, percent=5, at=at),
    )
    spec = {
        "project": "shop",
        "source": {"urlSecretRef": {"name": "source", "key": "url"}},
        "target": {"previewDatabase": name},
    }
    body = a_body(IMPORTS, name, spec=spec, status=status.to_json())
    body["metadata"]["uid"] = name
    tenant.create(api_paths.resource(IMPORTS, NAMESPACE), body)
    template: Json = {"metadata": {"labels": {LABEL_IMPORT_UID: name}}, "spec": {}}
    owner = {"kind": "PostgresImport", "name": name, "uid": name}
    tenant.create(
        api_paths.jobs(NAMESPACE),
        {
            "metadata": {
                "name": job,
                "uid": f"job-{name}",
                "labels": {LABEL_IMPORT_UID: name},
                "ownerReferences": [owner],
            },
            "spec": {"template": template},
        },
    )
    pod = tenant.show_pod(tenant.job(name), ended(PASSED, 0), running(), "Running", name)
    line = Progress(phase=ImportPhase.DATA, percent=42, at=datetime.now(UTC)).to_json()
    tenant.kubernetes.emulator.faults.logs[pod] = json.dumps({"progress": line})


@pytest.fixture
def kubernetes() -> Iterator[Kubernetes]:
    with run_kubernetes() as emulated:
        yield emulated


def test_a_first_reconcile_costs_few_reads_whatever_the_number_of_objects(
    kubernetes: Kubernetes, postgres16: PostgresServer
) -> None:
    """Reconciling 200 imports and previews must take at most 10 s; an API server answers about 300 reads per second."""
    tenant = Tenant(kubernetes, kubernetes.connect(BYSTANDER), postgres16)
    tenant.prepare()
    tenant.cluster.patch(
        api_paths.resource(PROJECTS, "", "shop"),
        {
            "metadata": {"finalizers": [FINALIZER_PROJECT]},
            "spec": {"storageLimitBytes": 10**12},
            "status": {"ready": True, "observedGeneration": 2},
        },
    )
    for name in NAMES:
        create_running_import(tenant, name)
    before = len(kubernetes.requests("GET"))
    context = build_context(kubernetes.connect())
    for name in NAMES:
        reconcile(context, ResourceKey(PREVIEWS, NAMESPACE, name))
        reconcile(context, ResourceKey(IMPORTS, NAMESPACE, name))
    reads = Counter(
        request.url.path
        for request in kubernetes.requests("GET")[before:]
        if request.headers["User-Agent"] != BYSTANDER
    )
    for name in NAMES:
        status = tenant.status(name)
        assert (status["state"], status["progress"]["percent"]) == ("running", 42)
    assert reads[api_paths.resource(IMPORTS, NAMESPACE)] == reads[api_paths.resource(PREVIEWS, NAMESPACE)] == 0
    assert reads.total() <= 12 * len(NAMES)
