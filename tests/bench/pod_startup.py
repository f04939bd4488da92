"""Measures the CPU time of the pod that imports an empty database: nearly all of it is start-up."""

import statistics
import time
from dataclasses import dataclass

from tests.bench.bench_tenant import bench_tenant
from tests.bench.pod_usage import watch_pod
from tests.bench.report import Measure
from tests.e2e.tenant import Tenant

PROJECT, DATABASE = "bench-startup", "empty"
GOAL_CPU_SECONDS = 1.2
TIMEOUT_SECONDS = 300
METHOD = """\
CPU seconds of the control group of the pod that imports an empty database: all its containers, preflight included.
Median of {imports} imports after one that is not counted. The source is in the cluster, so waiting costs little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much is measured."""

    imports: int


FULL, QUICK = Amount(imports=5), Amount(imports=1)


def measure_pod_startup(amount: Amount) -> Measure:
    """Import the empty database several times, one import after the other."""
    with bench_tenant(PROJECT, DATABASE) as tenant:
        tenant.make_previews("target")
        runs = [_measure_import(tenant, f"import-{number}") for number in range(amount.imports + 1)][1:]
    return Measure(
        name="startup_pod_cpu_seconds",
        title="An empty database, CPU of the pod",
        value=round(statistics.median(cpu for cpu, _ in runs), 2),
        goal=GOAL_CPU_SECONDS,
        unit="s",
        method=METHOD.format(imports=amount.imports),
        rows=[
            ("", "CPU, s", "from creation to completed, s"),
            *((f"import {number}", f"{cpu:.2f}", f"{seconds:.1f}") for number, (cpu, seconds) in enumerate(runs, 1)),
        ],
    )


def _measure_import(tenant: Tenant, name: str) -> tuple[float, float]:
    """Return the CPU seconds of the pod and the wall seconds of the import. Raises RuntimeError if nothing was read."""
    started_at = time.monotonic()
    tenant.start(name, DATABASE, "target")
    with watch_pod(tenant, name) as usage:
        tenant.wait_for_end(name, "completed", TIMEOUT_SECONDS)
    seconds = time.monotonic() - started_at
    if not usage.cpu_seconds:
        raise RuntimeError(f"the control group of the pod of import {name} was not found")
    return usage.cpu_seconds, seconds
