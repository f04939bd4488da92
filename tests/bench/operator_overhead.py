"""What the operator costs: an import of an empty database against a bare Job with the same containers and work."""

import copy
import secrets
import statistics
import threading
import time
from dataclasses import dataclass

from tests.bench.bench_tenant import surroundings
from tests.bench.cluster_watch import Observer
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
from pgimport.model.result import SourceInfo
from pgimport.server.connection import Access
from pgimport.server.shadow import ShadowPlan, drop_attempt, prepare_shadow

FULL_ROUNDS, QUICK_ROUNDS = 10, 2
GOAL_SECONDS = 1.5
PROJECT, DATABASE = "bench", "empty"
SEED_SECRET = "bench-seed"
METHOD = """\
{rounds} imports of an empty database and {rounds} bare Jobs, in turns, after one of each that is not counted; seconds.

The bare Job is the very Job that the operator made for an import, without its owner and its labels. Its shadow is
made by the operator's own code the moment its pod exists, long before its gate is reached, so that it never waits.
An import's time ends when a watch shows `completed`, swap included. A bare Job has two ends: a watch shows its
container terminated, and, once the Job controller has looked, the Job Complete. The overhead counts from the first."""


@dataclass(frozen=True)
class Bench:
    """All that both ways need."""

    observer: Observer
    tenant: Tenant
    access: Access
    job: Manifest
    facts: SourceInfo
    seed: bytes


def _admin() -> Access:
    """By the Service's address, which a node reaches as its pods do."""
    values = read_secret(SYSTEM_NAMESPACE, ADMIN_SECRET)
    service = kubectl.get("service", "pgimport-server", SYSTEM_NAMESPACE)["spec"]
    return Access(
        host=service["clusterIP"], port=5432, user=values["user"], password=values["password"], sslmode="disable"
    )


def _bare(job: Manifest) -> Manifest:
    """The operator's Job as anybody could have written it: its own seed, nobody's labels."""
    pod = copy.deepcopy(job["spec"]["template"]["spec"])
    for volume in pod["volumes"]:
        if volume["name"] == "seed":
            volume["secret"]["secretName"] = SEED_SECRET
    kept = ("backoffLimit", "activeDeadlineSeconds", "podReplacementPolicy", "podFailurePolicy")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"namespace": job["metadata"]["namespace"]},
        "spec": {name: job["spec"][name] for name in kept} | {"template": {"spec": pod}},
    }


def _prepare(tenant: Tenant, observer: Observer) -> Bench:
    """The first import is not measured: it warms everything up, and leaves the Job that is copied."""
    _time_import(observer, tenant, "warm-up")
    body = tenant.get("warm-up")
    (job,) = kubectl.list_objects("jobs", tenant.name, f"{LABEL_IMPORT_UID}={body['metadata']['uid']}")
    seed = secrets.token_bytes(32)
    text = seed.hex().encode()  # a Secret's text; any bytes are a seed
    kubectl.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SEED_SECRET, "namespace": tenant.name},
            "stringData": {SECRET_KEY_SEED: text.decode()},
        }
    )
    facts = SourceInfo.model_validate(body["status"]["preflight"]["source"])
    return Bench(observer, tenant, _admin(), _bare(job), facts, text)


def _time_import(observer: Observer, tenant: Tenant, name: str) -> float:
    """Seconds from its creation until a watch shows it completed."""
    manifest = tenant.import_manifest(name, DATABASE, "target")
    begun = time.monotonic()
    observer.create_import(manifest)
    body = observer.await_import(tenant.name, name, lambda one: state_of(one) in ("completed", "failed", "cancelled"))
    seconds = time.monotonic() - begun
    if state_of(body) != "completed":
        raise RuntimeError(f"import {name} did not complete: {body['status']}")
    observer.await_import(tenant.name, name, is_over)
    return seconds


def _time_bare(bench: Bench, name: str) -> tuple[float, float]:
    """Seconds from the Job's creation until a watch shows its container terminated, and until it is Complete."""
    job = copy.deepcopy(bench.job)
    job["metadata"]["name"] = name
    uids: list[str] = []
    errors: list[Exception] = []

    def make_shadow() -> None:
        try:
            uid = bench.observer.await_pod(bench.tenant.name, name)["metadata"]["uid"]
            uids.append(uid)
            plan = ShadowPlan(
                names=attempt_names(uid),
                password=attempt_password(bench.seed, uid),
                source=bench.facts,
                mark=OwnerComment(project_uid="bench", pod_uid=uid),
            )
            prepare_shadow(bench.access, plan)
        except Exception as error:
            errors.append(error)

    maker = threading.Thread(target=make_shadow, daemon=True)
    maker.start()
    try:
        begun = time.monotonic()
        bench.observer.create_job(job)
        bench.observer.await_pod(bench.tenant.name, name, _is_terminated)
        ended = time.monotonic() - begun
        body = bench.observer.await_job(bench.tenant.name, name, _is_finished)
        complete = time.monotonic() - begun
        maker.join()
        if errors:
            raise errors[0]
        if not body["status"].get("succeeded"):
            raise RuntimeError(f"Job {name} failed: {body['status']}")
        _assert_never_waited(bench, uids[0])
    finally:
        for uid in uids:
            drop_attempt(bench.access, attempt_names(uid))
    kubectl.delete("jobs", name, namespace=bench.tenant.name)
    return ended, complete


def _is_terminated(pod: Manifest) -> bool:
    found = pod.get("status", {}).get("containerStatuses", ())
    return bool(found) and all(one["state"].get("terminated") for one in found)


def _is_finished(job: Manifest) -> bool:
    found = job.get("status", {}).get("conditions", ())
    return any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in found)


def _assert_never_waited(bench: Bench, uid: str) -> None:
    """Else the bare Job would have been measured with a wait that is not its own."""
    for pod in kubectl.list_objects("pods", bench.tenant.name):
        name = pod["metadata"]["name"]
        if pod["metadata"]["uid"] == uid and "waiting for the target database" in kubectl.logs(bench.tenant.name, name):
            raise RuntimeError(f"the bare Job's pod {name} waited for its shadow")


def measure_overhead(rounds: int) -> Measure:
    """Import and bare Job in turns, so that a slow moment of the machine meets both."""
    ours: list[float] = []
    bare: list[tuple[float, float]] = []
    with surroundings(PROJECT, DATABASE) as tenant:
        tenant.make_previews("target")
        bench = _prepare(tenant, Observer())
        _time_bare(bench, "bare-warm-up")
        for number in range(1, rounds + 1):
            ours.append(_time_import(bench.observer, tenant, f"import-{number}"))
            bare.append(_time_bare(bench, f"bare-{number}"))
            ended, complete = bare[-1]
            took = f"import {ours[-1]:.2f} s, bare Job {ended:.2f} s, Complete {complete:.2f} s"
            print(f"round {number} of {rounds}: {took}", flush=True)
    return _summary(ours, bare)


def _summary(ours: list[float], bare: list[tuple[float, float]]) -> Measure:
    ended, complete = [one for one, _ in bare], [one for _, one in bare]

    def row(title: str, values: list[float]) -> tuple[str, ...]:
        return (title, *(f"{value:.2f}" for value in (statistics.median(values), min(values), max(values))))

    return Measure(
        name="operator_overhead_seconds",
        title="Overhead of the operator over a bare Job",
        value=round(statistics.median(ours) - statistics.median(ended), 3),
        goal=GOAL_SECONDS,
        unit="s",
        method=METHOD.format(rounds=len(ours)),
        rows=[
            ("", "median", "min", "max"),
            row("import, completed", ours),
            row("bare Job, its container terminated", ended),
            row("bare Job, Complete", complete),
        ],
    )
