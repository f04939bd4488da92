"""Compares an import of an empty database with a bare Job that has the same containers and does the same work."""

import copy
import secrets
import statistics
import threading
import time
from dataclasses import dataclass

from tests.bench.bench_tenant import bench_tenant
from tests.bench.cluster_watch import ClusterWatcher
from tests.bench.report import Measure
from tests.e2e.postgres_pods import ADMIN_SECRET, SYSTEM_NAMESPACE
from tests.e2e.tenant import Tenant, is_over, read_secret, state_of
from tests.support import kubectl
from tests.support.kubectl import Manifest

from pgimport.model.names import (
    LABEL_IMPORT_UID,
    SECRET_KEY_SEED,
    attempt_names,
    attempt_password,
)
from pgimport.model.owner_comment import OwnerComment
from pgimport.model.project_spec import DEFAULT_ALLOWED_EXTENSIONS
from pgimport.model.result import SourceInfo
from pgimport.server.server_access import Access
from pgimport.server.shadow import ShadowPlan, drop_attempt, prepare_shadow

FULL_ROUNDS, QUICK_ROUNDS = 10, 2
GOAL_SECONDS = 1.5
PROJECT, DATABASE = "bench", "empty"
SEED_SECRET = "bench-seed"
METHOD = """\
{rounds} imports of an empty database and {rounds} bare Jobs, in turns, after one of each that is not counted; seconds.

The bare Job is a copy of a Job that the operator created for an import, without its owner and its labels. The
operator's own code creates its shadow as soon as its pod exists, long before the gate, so that the pod never waits.
An import's time ends when a watch shows `completed`, swap included. A bare Job ends twice: when a watch shows its
container terminated, and later when the Job controller sets Complete. The overhead is the time beyond the first."""


@dataclass(frozen=True)
class OverheadSetup:
    """The tenant, and what a bare Job needs."""

    watcher: ClusterWatcher
    tenant: Tenant
    access: Access
    job: Manifest
    source_info: SourceInfo
    seed: bytes


def _read_admin_access() -> Access:
    """Return the admin's access by the Service's address, which this host can reach."""
    values = read_secret(SYSTEM_NAMESPACE, ADMIN_SECRET)
    service = kubectl.get("service", "pgimport-server", SYSTEM_NAMESPACE)["spec"]
    return Access(
        host=service["clusterIP"], port=5432, user=values["user"], password=values["password"], sslmode="disable"
    )


def _build_bare_job(job: Manifest) -> Manifest:
    """Copy the operator's Job, with another seed and without labels."""
    pod = copy.deepcopy(job["spec"]["template"]["spec"])
    for volume in pod["volumes"]:
        if volume["name"] == "seed":
            volume["secret"]["secretName"] = SEED_SECRET
    fields = ("backoffLimit", "activeDeadlineSeconds", "podReplacementPolicy", "podFailurePolicy")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"namespace": job["metadata"]["namespace"]},
        "spec": {name: job["spec"][name] for name in fields} | {"template": {"spec": pod}},
    }


def _prepare(tenant: Tenant, watcher: ClusterWatcher) -> OverheadSetup:
    """Run one import that is not measured. It warms up the caches, and its Job is the one that is copied."""
    _time_import(watcher, tenant, "warm-up")
    body = tenant.get("warm-up")
    (job,) = kubectl.list_objects("jobs", tenant.name, f"{LABEL_IMPORT_UID}={body['metadata']['uid']}")
    seed = secrets.token_bytes(32)
    text = seed.hex().encode()  # as text for the Secret; any bytes are a valid seed
    kubectl.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SEED_SECRET, "namespace": tenant.name},
            "stringData": {SECRET_KEY_SEED: text.decode()},
        }
    )
    source_info = SourceInfo.model_validate(body["status"]["preflight"]["source"])
    return OverheadSetup(watcher, tenant, _read_admin_access(), _build_bare_job(job), source_info, text)


def _time_import(watcher: ClusterWatcher, tenant: Tenant, name: str) -> float:
    """Return the seconds from the creation of the import until a watch shows it completed."""
    manifest = tenant.import_manifest(name, DATABASE, "target")
    started_at = time.monotonic()
    watcher.create_import(manifest)
    body = watcher.await_import(
        tenant.name, name, lambda shown: state_of(shown) in ("completed", "failed", "cancelled")
    )
    seconds = time.monotonic() - started_at
    if state_of(body) != "completed":
        raise RuntimeError(f"import {name} did not complete: {body['status']}")
    watcher.await_import(tenant.name, name, is_over)
    return seconds


def _time_bare_job(setup: OverheadSetup, name: str) -> tuple[float, float]:
    """Return the seconds from the Job's creation until its container is terminated, and until the Job is Complete."""
    job = copy.deepcopy(setup.job)
    job["metadata"]["name"] = name
    uids: list[str] = []
    errors: list[Exception] = []

    def make_shadow() -> None:
        try:
            uid = setup.watcher.await_pod(setup.tenant.name, name)["metadata"]["uid"]
            uids.append(uid)
            plan = ShadowPlan(
                names=attempt_names(uid),
                password=attempt_password(setup.seed, uid),
                source=setup.source_info,
                mark=OwnerComment(project_uid="bench", pod_uid=uid),
                allowed_extensions=DEFAULT_ALLOWED_EXTENSIONS,
            )
            prepare_shadow(setup.access, plan)
        except Exception as error:
            errors.append(error)

    maker = threading.Thread(target=make_shadow, daemon=True)
    maker.start()
    try:
        started_at = time.monotonic()
        setup.watcher.create_job(job)
        setup.watcher.await_pod(setup.tenant.name, name, _is_terminated)
        terminated = time.monotonic() - started_at
        body = setup.watcher.await_job(setup.tenant.name, name, _is_finished)
        complete = time.monotonic() - started_at
        maker.join()
        if errors:
            raise errors[0]
        if not body["status"].get("succeeded"):
            raise RuntimeError(f"Job {name} failed: {body['status']}")
        _assert_never_waited(setup, uids[0])
    finally:
        for uid in uids:
            drop_attempt(setup.access, attempt_names(uid))
    kubectl.delete("jobs", name, namespace=setup.tenant.name)
    return terminated, complete


def _is_terminated(pod: Manifest) -> bool:
    statuses = pod.get("status", {}).get("containerStatuses", ())
    return bool(statuses) and all(status["state"].get("terminated") for status in statuses)


def _is_finished(job: Manifest) -> bool:
    conditions = job.get("status", {}).get("conditions", ())
    return any(
        condition["type"] in ("Complete", "Failed") and condition["status"] == "True" for condition in conditions
    )


def _assert_never_waited(setup: OverheadSetup, uid: str) -> None:
    """Raise RuntimeError if the pod waited for its shadow: the measured time would be too long."""
    for pod in kubectl.list_objects("pods", setup.tenant.name):
        name = pod["metadata"]["name"]
        if pod["metadata"]["uid"] == uid and "waiting for the target database" in kubectl.logs(setup.tenant.name, name):
            raise RuntimeError(f"the bare Job's pod {name} waited for its shadow")


def measure_overhead(rounds: int) -> Measure:
    """Run import and bare Job in turns: if the machine slows down, it slows both down."""
    import_seconds: list[float] = []
    job_seconds: list[tuple[float, float]] = []
    with bench_tenant(PROJECT, DATABASE) as tenant:
        tenant.make_previews("target")
        setup = _prepare(tenant, ClusterWatcher())
        _time_bare_job(setup, "bare-warm-up")
        for number in range(1, rounds + 1):
            import_seconds.append(_time_import(setup.watcher, tenant, f"import-{number}"))
            job_seconds.append(_time_bare_job(setup, f"bare-{number}"))
            terminated, complete = job_seconds[-1]
            seconds = f"import {import_seconds[-1]:.2f} s, bare Job {terminated:.2f} s, Complete {complete:.2f} s"
            print(f"round {number} of {rounds}: {seconds}", flush=True)
    return _build_measure(import_seconds, job_seconds)


def _build_measure(import_seconds: list[float], job_seconds: list[tuple[float, float]]) -> Measure:
    terminated, complete = [first for first, _ in job_seconds], [second for _, second in job_seconds]

    def row(title: str, values: list[float]) -> tuple[str, ...]:
        return (title, *(f"{value:.2f}" for value in (statistics.median(values), min(values), max(values))))

    return Measure(
        name="operator_overhead_seconds",
        title="Overhead of the operator over a bare Job",
        value=round(statistics.median(import_seconds) - statistics.median(terminated), 3),
        goal=GOAL_SECONDS,
        unit="s",
        method=METHOD.format(rounds=len(import_seconds)),
        rows=[
            ("", "median", "min", "max"),
            row("import, completed", import_seconds),
            row("bare Job, its container terminated", terminated),
            row("bare Job, Complete", complete),
        ],
    )
