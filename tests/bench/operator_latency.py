"""Measures how long the operator takes to cancel an import, and to update all imports after a restart."""

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config
from tests.bench.bench_tenant import bench_tenant
from tests.bench.report import Measure
from tests.e2e.operator_process import Operator, stopped_deployment
from tests.e2e.tenant import IMPORTS, PREVIEWS, Tenant, state_of
from tests.support import kubectl
from tests.support.kubectl import Manifest

from pgimport.model.names import GROUP, VERSION

PROJECT = "bench-prompt"
GOAL_CANCEL, GOAL_RESTART = 10.0, 10.0
TIMEOUT_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much is measured."""

    cancels: int
    running_imports: int

    @property
    def method_of_cancels(self) -> str:
        return f"""\
{self.cancels} imports, one after the other, each cancelled while its rows are copied. The longest time from the change
of spec.cancel until the state is cancelled, its pod has ended, and its database, role and Secret are gone."""

    @property
    def method_of_restart(self) -> str:
        return f"""\
{self.running_imports} imports are running: each has its target and its Job. Their pods request more processors than the
node has, so they stay pending. While the operator is stopped, every second import is cancelled and the others get a
change without effect. Seconds from the start of a new operator, as a program on this host, until the status of every
import has the current generation and the state cancelled or running."""


FULL = Amount(cancels=5, running_imports=200)
QUICK = Amount(cancels=1, running_imports=10)


def measure_latency(amount: Amount) -> list[Measure]:
    limits = {"maxConcurrentImports": amount.running_imports + amount.cancels}
    with bench_tenant(PROJECT, "slow", limits=limits) as tenant:
        return [_measure_cancel(tenant, amount), _measure_restart(tenant, amount)]


def _measure_cancel(tenant: Tenant, amount: Amount) -> Measure:
    tenant.make_previews("cancelled")
    durations = [_time_cancel(tenant, f"cancelled-{number}") for number in range(amount.cancels)]
    rows: list[tuple[str, ...]] = [
        ("", "s"),
        *((f"cancel {number}", f"{seconds:.2f}") for number, seconds in enumerate(durations, 1)),
    ]
    return Measure(
        name="cancel_seconds",
        title="From cancel to clean-up",
        value=round(max(durations), 2),
        goal=GOAL_CANCEL,
        unit="s",
        method=amount.method_of_cancels,
        rows=rows,
    )


def _time_cancel(tenant: Tenant, name: str) -> float:
    tenant.start(name, "slow", "cancelled")
    tenant.wait_until_copying(name)
    started_at = time.monotonic()
    tenant.change(name, cancel=True)
    while state_of(body := tenant.get(name)) != "cancelled" or tenant.leftovers(body):
        if time.monotonic() - started_at > TIMEOUT_SECONDS:
            raise TimeoutError(tenant.describe(IMPORTS, name))
    return time.monotonic() - started_at


class _Objects:
    """Creates, changes and lists many objects in parallel, without a kubectl process for each."""

    def __init__(self, namespace: str) -> None:
        self._api = client.CustomObjectsApi(config.new_client_from_config(kubectl.environment()["KUBECONFIG"]))
        self._resource = (GROUP, VERSION, namespace)

    def create(self, kind: str, bodies: list[Manifest]) -> None:
        plural = kind.partition(".")[0]
        with ThreadPoolExecutor(8) as pool:
            list(
                pool.map(lambda body: self._api.create_namespaced_custom_object(*self._resource, plural, body), bodies)
            )

    def change(self, names: list[str], **spec: bool) -> None:
        plural, patch = IMPORTS.partition(".")[0], {"spec": spec}
        with ThreadPoolExecutor(8) as pool:
            list(
                pool.map(
                    lambda name: self._api.patch_namespaced_custom_object(*self._resource, plural, name, patch), names
                )
            )

    def imports(self) -> dict[str, Manifest]:
        """List the imports by name."""
        listed: Any = self._api.list_namespaced_custom_object(*self._resource, IMPORTS.partition(".")[0])
        return {body["metadata"]["name"]: body for body in listed["items"]}


def _measure_restart(tenant: Tenant, amount: Amount) -> Measure:
    objects, names = _Objects(tenant.name), [f"many-{number}" for number in range(amount.running_imports)]
    objects.create(PREVIEWS, [tenant.preview_manifest(name) for name in names])
    huge = {"requests": {"cpu": "500"}, "limits": {"cpu": "500"}}
    options = {"resources": huge, "startTimeout": "2h"}
    objects.create(IMPORTS, [tenant.import_manifest(name, "slow", name, **options) for name in names])
    _wait_for(objects, lambda imports: all(_is_running(imports[name]) for name in names))
    with stopped_deployment():
        cancelled, others = names[::2], names[1::2]
        objects.change(cancelled, cancel=True)
        objects.change(others, suspend=False)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(kubectl.environment()["KUBECONFIG"])
            operator = Operator(path, Path(folder) / "operator.log", PGIMPORT_SWEEP_SECONDS="10")
            started_at = time.monotonic()
            operator.start()
            try:
                _wait_for(objects, lambda imports: _are_current(imports, cancelled, others))
                seconds = time.monotonic() - started_at
            finally:
                operator.kill()
    return Measure(
        name="restart_seconds",
        title=f"From the operator's start to {amount.running_imports} current statuses",
        value=round(seconds, 2),
        goal=GOAL_RESTART,
        unit="s",
        method=amount.method_of_restart,
    )


def _is_running(body: Manifest) -> bool:
    return state_of(body) == "running" and "job" in body["status"]


def _are_current(imports: dict[str, Manifest], cancelled: list[str], others: list[str]) -> bool:
    generations = [(body["status"]["observedGeneration"], body["metadata"]["generation"]) for body in imports.values()]
    current = all(observed == newest for observed, newest in generations)
    ended = all(state_of(imports[name]) == "cancelled" for name in cancelled)
    return current and ended and all(state_of(imports[name]) == "running" for name in others)


def _wait_for(objects: _Objects, condition: Callable[[dict[str, Manifest]], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition(imports := objects.imports()):
        if time.monotonic() > deadline:
            states = dict(Counter(map(state_of, imports.values())))
            raise TimeoutError(f"the imports did not reach the expected states; states: {states}")
        time.sleep(0.2)
