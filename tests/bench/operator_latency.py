"""How soon the operator does what it must: end what is cancelled, and know 200 imports again after a restart."""

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config
from tests.bench.bench_tenant import surroundings
from tests.bench.report import Measure
from tests.e2e.operator_process import DEPLOYMENT, Operator
from tests.e2e.postgres_pods import SYSTEM_NAMESPACE
from tests.e2e.tenant import IMPORTS, PREVIEWS, Tenant, state_of
from tests.support import kubectl
from tests.support.kubectl import Manifest

from pgimport.model.names import GROUP, VERSION

PROJECT = "bench-prompt"
GOAL_CANCEL, GOAL_RESTART = 10.0, 10.0
PATIENCE_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much is measured."""

    cancels: int
    at_work: int

    @property
    def method_of_cancels(self) -> str:
        return f"""\
{self.cancels} imports, one after the other, each cancelled while its rows are copied. Seconds from the change of
spec.cancel until the state is cancelled, no pod of it runs, and no database, role or Secret of it is there; the
longest."""

    @property
    def method_of_restart(self) -> str:
        return f"""\
{self.at_work} imports are running: each has its target and its Job; their pods ask for more processors than there
are and wait for them. The operator is stopped; meanwhile every second import is cancelled, the others get a change that
means nothing. Seconds from the start of a new operator, as a program on this host, until each import's status is right:
of the generation that is there, and cancelled or running."""


FULL = Amount(cancels=5, at_work=200)
QUICK = Amount(cancels=1, at_work=10)


def measure_promptness(amount: Amount) -> list[Measure]:
    limits = {"maxConcurrentImports": amount.at_work + amount.cancels}
    with surroundings(PROJECT, "slow", limits=limits) as tenant:
        return [_measure_cancel(tenant, amount), _measure_restart(tenant, amount)]


# --- cancel ------------------------------------------------------------------------------------------------------


def _measure_cancel(tenant: Tenant, amount: Amount) -> Measure:
    tenant.make_previews("cancelled")
    taken = [_time_cancel(tenant, f"cancelled-{number}") for number in range(amount.cancels)]
    rows: list[tuple[str, ...]] = [
        ("", "s"),
        *((f"cancel {number}", f"{seconds:.2f}") for number, seconds in enumerate(taken, 1)),
    ]
    return Measure(
        name="cancel_seconds",
        title="From cancel to nothing",
        value=round(max(taken), 2),
        goal=GOAL_CANCEL,
        unit="s",
        method=amount.method_of_cancels,
        rows=rows,
    )


def _time_cancel(tenant: Tenant, name: str) -> float:
    tenant.start(name, "slow", "cancelled")
    tenant.wait_until_copying(name)
    begun = time.monotonic()
    tenant.change(name, cancel=True)
    while state_of(body := tenant.get(name)) != "cancelled" or tenant.leftovers(body):
        if time.monotonic() - begun > PATIENCE_SECONDS:
            raise TimeoutError(tenant.describe(IMPORTS, name))
    return time.monotonic() - begun


# --- restart -----------------------------------------------------------------------------------------------------


class _Objects:
    """Many at once, without a program for each."""

    def __init__(self, namespace: str) -> None:
        self._api = client.CustomObjectsApi(config.new_client_from_config(kubectl.environment()["KUBECONFIG"]))
        self._where = (GROUP, VERSION, namespace)

    def create(self, kind: str, bodies: list[Manifest]) -> None:
        plural = kind.partition(".")[0]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda body: self._api.create_namespaced_custom_object(*self._where, plural, body), bodies))

    def change(self, names: list[str], **spec: bool) -> None:
        plural, patch = IMPORTS.partition(".")[0], {"spec": spec}
        with ThreadPoolExecutor(8) as pool:
            list(
                pool.map(lambda one: self._api.patch_namespaced_custom_object(*self._where, plural, one, patch), names)
            )

    def imports(self) -> dict[str, Manifest]:
        """By their names."""
        listed: Any = self._api.list_namespaced_custom_object(*self._where, IMPORTS.partition(".")[0])
        return {one["metadata"]["name"]: one for one in listed["items"]}


def _measure_restart(tenant: Tenant, amount: Amount) -> Measure:
    objects, names = _Objects(tenant.name), [f"many-{number}" for number in range(amount.at_work)]
    objects.create(PREVIEWS, [tenant.preview_manifest(name) for name in names])
    huge = {"requests": {"cpu": "500"}, "limits": {"cpu": "500"}}
    waits = {"resources": huge, "startTimeout": "2h"}
    objects.create(IMPORTS, [tenant.import_manifest(name, "slow", name, **waits) for name in names])
    _await(objects, lambda found: all(_works(found[name]) for name in names))
    kubectl.run("-n", SYSTEM_NAMESPACE, "scale", f"deployment/{DEPLOYMENT}", "--replicas=0")
    try:
        kubectl.run("-n", SYSTEM_NAMESPACE, "wait", "--for=delete", "pod", "-l", "app.kubernetes.io/component=operator")
        cancelled, others = names[::2], names[1::2]
        objects.change(cancelled, cancel=True)
        objects.change(others, suspend=False)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(kubectl.environment()["KUBECONFIG"])
            operator = Operator(path, Path(folder) / "operator.log", PGIMPORT_SWEEP_SECONDS="10")
            begun = time.monotonic()
            operator.start()
            try:
                _await(objects, lambda found: _all_right(found, cancelled, others))
                seconds = time.monotonic() - begun
            finally:
                operator.kill()
    finally:
        kubectl.run("-n", SYSTEM_NAMESPACE, "scale", f"deployment/{DEPLOYMENT}", "--replicas=1")
    return Measure(
        name="restart_seconds",
        title=f"From an operator's start to {amount.at_work} right statuses",
        value=round(seconds, 2),
        goal=GOAL_RESTART,
        unit="s",
        method=amount.method_of_restart,
    )


def _works(body: Manifest) -> bool:
    return state_of(body) == "running" and "job" in body["status"]


def _all_right(found: dict[str, Manifest], cancelled: list[str], others: list[str]) -> bool:
    current = all(one["status"]["observedGeneration"] == one["metadata"]["generation"] for one in found.values())
    ended = all(state_of(found[name]) == "cancelled" for name in cancelled)
    return current and ended and all(state_of(found[name]) == "running" for name in others)


def _await(objects: _Objects, right: Callable[[dict[str, Manifest]], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not right(found := objects.imports()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"states: {dict(Counter(map(state_of, found.values())))}")
        time.sleep(0.2)
